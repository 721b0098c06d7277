// SPDX-License-Identifier: LGPL-2.1-or-later
// Definitions are asked for ten at a time; what one guest says or fails to say must not reach another.
import { Conversation } from "../../../src/host/conversation.ts";
import { readGuests, readSome, virshGrammar } from "../../../src/host/virsh.ts";
import { streamingMachine } from "./captured.ts";

const uuidOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

function definition(index: number, metadata = ""): string {
    return `<domain type='kvm'>\n  <name>guest${index}</name>\n  <uuid>${uuidOf(index)}</uuid>\n  <metadata>${metadata}</metadata>\n</domain>\n`;
}

/** A virsh that knows these guests (all are off), by the lines it is given; `undefined` is listed but gone when it is asked for. */
function virshWith(definitions: readonly (string | undefined)[]) {
    const lines: string[] = [];
    const uuids = definitions.map((_, index) => uuidOf(index));
    const answer = (command: string): string => {
        if (command.startsWith("echo "))
            return command.slice(5).replaceAll("'", "");
        if (/^list --all --uuid( --persistent)?$/.test(command))
            return `${uuids.join("\n")}\n`;
        const xml = command.startsWith("dumpxml --inactive") ? definitions[uuids.indexOf(command.slice(-36))] : "";
        return xml === undefined ? `error: failed to get domain '${command.slice(-36)}'\n` : `${xml}\n`;
    };
    const { machine } = streamingMachine();
    const virsh = new Conversation({
        ...machine,
        stream: (_argv, handlers) => ({
            write(text) {
                for (const line of text.split("\n").slice(0, -1)) {
                    lines.push(line);
                    handlers.data(`virsh # ${line}\n${line.split(";").map(answer).join("")}`);
                }
            },
            close: () => undefined,
        }),
    }, ["virsh"], virshGrammar("token"), () => undefined);
    return { virsh, lines };
}

const numbers = Array.from({ length: 25 }, (_, index) => index);

it("asks for ten definitions in a line and takes each for its guest, in the order of the list", async () => {
    const { virsh, lines } = virshWith(numbers.map(index => definition(index)));
    const guests = await readGuests(virsh);
    expect(guests.map(({ name, uuid, configured }) => [name, uuid, configured?.xml]))
        .toEqual(numbers.map(index => [`guest${index}`, uuidOf(index), definition(index)]));
    expect(lines.filter(line => line.startsWith("dumpxml"))).toHaveLength(3);
});

it("a guest that is gone when it is asked for takes none of its line with it", async () => {
    const { virsh } = virshWith(numbers.map(index => index === 13 ? undefined : definition(index)));
    const guests = await readGuests(virsh);
    expect(guests.map(guest => guest.configured?.name)).toEqual(numbers.map(index => index === 13 ? undefined : `guest${index}`));
    expect(guests[13]?.problem).toMatchObject({ args: [`failed to get domain '${uuidOf(13)}'`] });
});

it.each([
    ["one more", `<![CDATA[\n</domain>\n${definition(5)}]]>`],
    ["another instead of one that is gone", `<![CDATA[\n</domain>\n<domain type='kvm'>\n<uuid>${uuidOf(4)}</uuid>]]>`],
])("a guest whose metadata look like %s does not pass for it", async (_what, metadata) => {
    const { virsh } = virshWith(numbers.map(index => index === 4 ? undefined : definition(index, index === 3 ? metadata : "")));
    const guests = await readGuests(virsh);
    expect(guests.map(guest => guest.configured?.xml))
        .toEqual(numbers.map(index => index === 4 ? undefined : definition(index, index === 3 ? metadata : "")));
});

it("many guests are told by the lists how they are, a few by dominfo", async () => {
    const { virsh, lines } = virshWith(numbers.map(index => definition(index)));
    const guests = await readSome(virsh, [...numbers.map(uuidOf), uuidOf(99)]);
    expect([...guests.keys()]).toEqual(numbers.map(uuidOf));
    expect(lines.filter(line => line.startsWith("dominfo"))).toEqual([]);
    await readSome(virsh, [uuidOf(1)]);
    expect(lines.filter(line => line.startsWith("dominfo"))).toEqual([`dominfo ${uuidOf(1)}`]);
});
