/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
import { act, cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { TextEncoder } from "node:util";
import { CommandError, type Machine } from "../../../src/host/run.ts";
import { guestOf } from "../../../src/model/guest.ts";
import type { Plan } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import { stubCockpit } from "./cockpit-stub.ts";

stubCockpit();
// Every browser has it, jsdom does not.
Object.assign(globalThis, { TextEncoder });
const { MapDialog } = await import("../../../src/pages/nat/map-dialog.tsx");
const { ImportDialog } = await import("../../../src/pages/nat/transfer.tsx");
const { provesSomething } = await import("../../../src/pages/nat/change-status.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { ExecuteContext } = await import("../../../src/ui/executor.ts");
const { SnapshotContext } = await import("../../../src/ui/snapshot-context.ts");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

const read = <T,>(value: T) => ({ state: "read", value } as const);
const route = (destination: string, device: string, gateway?: string) => ({
    family: "inet" as const, destination, type: "unicast", table: "main", device, ...gateway !== undefined && { gateway },
});

const definition = (name: string, inside: string) => `<domain type='kvm'><name>${name}</name><devices><interface ${inside}</interface></devices></domain>`;
const guest = (name: string, inside: string) => guestOf({
    uuid: name, name, state: "running", persistent: true, autostart: false, managedSave: false, live: definition(name, inside), configured: definition(name, inside),
});

const snapshot: Snapshot = {
    ...NOTHING_READ, needs: read(NOTHING_NEEDED),
    guests: read([
        guest("charon", "type='ethernet'><mac address='52:54:00:00:00:02'/><target dev='charon0'/>"),
        guest("styx", "type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><target dev='vnet0'/>"),
        guest("lethe", "type='bridge'><mac address='52:54:00:00:00:03'/><source bridge='br7'/><target dev='vnet1'/>"),
    ]),
    links: read([
        { index: 2, name: "eth0", mtu: 1500, up: true, carrier: true },
        { index: 3, name: "vnet0", mtu: 1500, up: true, carrier: true, master: "virbr0" },
    ]),
    addresses: read(new Map([["eth0", [{ family: "inet" as const, address: "203.0.113.1", prefix: 24, scope: "global" }]]])),
    routes: read([route("default", "eth0", "203.0.113.254"), route("203.0.113.0/24", "eth0"), route("10.0.0.2", "charon0")]),
    files: read(new Map()),
    natTable: read(null),
    units: read(new Map()),
};

/** Answers the probe for another owner of an address: nobody has it. */
const asked: string[] = [];
const machine: Machine = {
    run: argv => {
        asked.push(argv.join(" "));
        return Promise.resolve(argv[0] === "ip" ? '[{"dst":"192.168.122.8","dev":"virbr0","lladdr":"52:54:00:00:00:01"}]' : "");
    },
    stream: () => ({ write: () => undefined, close: () => undefined }),
    read: () => Promise.resolve(null),
    replace: () => Promise.resolve(),
    watchDirectory: () => ({ close: () => undefined }),
};

let ran: Plan[];
beforeEach(() => { ran = []; });
afterEach(cleanup);

/** Shows a dialog, and waits for what it reads of the host by itself. */
async function show(dialog: React.ReactNode, at = snapshot) {
    render(
        <AccessContext value="granted">
            <ExecuteContext value={plan => { ran.push(plan); return Promise.resolve({ state: "done", holds: true }); }}>
                <SnapshotContext value={at}><Toasts>{dialog}</Toasts></SnapshotContext>
            </ExecuteContext>
        </AccessContext>);
    await act(async () => { await new Promise(resolve => { setTimeout(resolve, 0); }); });
}

const button = (name: string) => screen.getByRole("button", { name });
const isDisabled = (element: HTMLElement) => element.hasAttribute("disabled") || element.getAttribute("aria-disabled") === "true";

async function type(label: RegExp, text: string) {
    await userEvent.click(screen.getByLabelText(label));
    await userEvent.paste(text);
}

describe("picking a guest", () => {
    beforeEach(() => show(<MapDialog machine={machine} onClose={() => undefined} />));
    const inside = () => (screen.getByLabelText<HTMLInputElement>(/^Guest address/)).value;
    const pick = (label: string) => userEvent.selectOptions(screen.getByLabelText("Guest"), label);

    test.each([
        ["charon · charon0 · 10.0.0.2", "10.0.0.2", "This host has a route to it over charon0."],
        ["styx · vnet0 · 192.168.122.8", "192.168.122.8", "From this host's neighbour table: the address of 52:54:00:00:00:01. Whoever is on virbr0 could claim it: make sure that it is the guest's."],
        ["lethe · vnet1 · address not known", "", "Looking for its address…"],
    ])("%s fills its address in and says where it is from", async (label, address, origin) => {
        await pick(label);
        expect(inside()).toBe(address);
        expect(screen.getByText(origin)).toBeTruthy();
    });

    test("an address typed for a guest whose own is not known stays, and nothing is said of its origin", async () => {
        await pick("lethe · vnet1 · address not known");
        await type(/^Guest address/, "10.7.0.2");
        expect(inside()).toBe("10.7.0.2");
        expect(screen.queryByText("Looking for its address…")).toBeNull();
        expect(screen.getByText("Or a prefix as long as the public one.")).toBeTruthy();
    });
});

describe("mapping an address", () => {
    beforeEach(() => show(<MapDialog machine={machine} guestAddress="10.0.0.2" onClose={() => undefined} />));

    test.each([
        ["203.0.113.1", /host's own address on eth0/],
        ["203.0.113.255", /means all of the network on eth0/],
        ["224.0.0.1", /multicast/],
        ["10.0.0.300", /is not an address/],
    ])("%s is refused while typing, with a sentence, and cannot be run", async (text, sentence) => {
        await type(/^Public address/, text);
        expect(screen.getByText(sentence)).toBeTruthy();
        expect(isDisabled(button("Map"))).toBe(true);
    });

    test.each([
        ["say \"hi\"", /double quotes/], ["🦆".repeat(40), /160 bytes long, nftables keeps 128/], ["x".repeat(10_240), /10240 bytes long/],
    ])("a description that nft cannot hold is refused with the limit", async (text, sentence) => {
        await type(/^Public address/, "203.0.113.10");
        await type(/^Description/, text);
        expect(screen.getByText(sentence)).toBeTruthy();
        expect(isDisabled(button("Map"))).toBe(true);
    });

    test("a good one asks the host who else has the address, and runs the plan that was shown", async () => {
        await type(/^Public address/, "203.0.113.10");
        expect(await screen.findByText(/Nobody answers for it on eth0/, {}, { timeout: 10_000 })).toBeTruthy();
        expect(asked).toContain("/usr/lib/kvm-tap/kvm-tap-nat probe eth0 203.0.113.10");
        await userEvent.click(button("Map"));
        expect(ran.map(({ title }) => title)).toEqual([{ id: "Map $0 to $1", args: ["203.0.113.10", "10.0.0.2"] }]);
    }, 20_000);

    test("the host's own address has to be said twice", async () => {
        await type(/^Public address/, "203.0.113.1");
        await userEvent.click(screen.getByLabelText(/^Map the host's own address/));
        expect(isDisabled(button("Map"))).toBe(true);
        await userEvent.click(screen.getByLabelText(/^I know that 203\.0\.113\.1/));
        expect(isDisabled(button("Map"))).toBe(false);
        await userEvent.click(button("Map"));
        expect(ran[0]?.confirm).toEqual({ seconds: 15 });
    });
});

describe("with two uplinks, for an address in the network of the second", () => {
    const two: Snapshot = {
        ...snapshot,
        links: read(["eth0", "eth1"].map((name, index) => ({ index: index + 2, name, mtu: 1500, up: true, carrier: true }))),
        routes: read([route("default", "eth0", "203.0.113.254"), route("default", "eth1", "198.51.100.254"), route("203.0.113.0/24", "eth0"),
            route("198.51.100.0/24", "eth1"), route("10.0.0.2", "charon0")]),
    };
    /** What the probe says on each link: 1, another machine answers; 2, it could not ask. */
    const probing = (statuses: Record<string, number>, links: string[]): Machine => ({
        ...machine,
        run(argv) {
            const [, verb, link = ""] = argv;
            if (verb !== "probe")
                return machine.run(argv);
            links.push(link);
            const status = statuses[link] ?? 0;
            return status === 0 ? Promise.resolve("") : Promise.reject(new CommandError(argv, null, status, status === 1 ? "" : "No."));
        },
    });

    test.each<[string, Record<string, number>, RegExp]>([
        ["nobody", {}, /Nobody answers for it on eth1, eth0; this host will/],
        ["somebody on the second", { eth1: 1 }, /Another machine answers/],
        ["somebody on the first", { eth0: 1 }, /Another machine answers/],
        ["one that cannot be asked", { eth1: 2 }, /could not be found out/],
    ])("both are asked: %s", async (_what, statuses, sentence) => {
        const links: string[] = [];
        await show(<MapDialog machine={probing(statuses, links)} guestAddress="10.0.0.2" onClose={() => undefined} />, two);
        await type(/^Public address/, "198.51.100.10");
        expect(await screen.findByText(sentence, {}, { timeout: 10_000 })).toBeTruthy();
        expect(links.sort()).toEqual(["eth0", "eth1"]);
    }, 20_000);

    test("a prefix lies in the network of its link", async () => {
        await show(<MapDialog machine={machine} guestAddress="10.0.0.0/29" onClose={() => undefined} />, two);
        await type(/^Public address/, "198.51.100.8/29");
        expect(screen.getByText(/It lies in the network on eth1/)).toBeTruthy();
    });

    test("while the host's networks are not known, nothing is said of them", async () => {
        await show(<MapDialog machine={machine} guestAddress="10.0.0.2" onClose={() => undefined} />, { ...two, addresses: { state: "reading" } });
        await type(/^Public address/, "198.51.100.10");
        expect(screen.getByText(/is not known/)).toBeTruthy();
    });
});

test("an import with errors names each line and cannot be run; corrected it can", async () => {
    await show(<ImportDialog onClose={() => undefined} />);
    const text = screen.getByLabelText("Text of the file");
    await userEvent.click(text);
    await userEvent.paste("public,guest\n203.0.113.10,10.0.0.2\n203.0.113.10,10.0.0.3\nnonsense,10.0.0.4\n");
    expect(screen.getByText(/^Line 3: 203\.0\.113\.10 is mapped already, to 10\.0\.0\.2/)).toBeTruthy();
    expect(screen.getByText(/^Line 4: "nonsense" is not an address/)).toBeTruthy();
    expect(isDisabled(button("Import"))).toBe(true);
    await userEvent.clear(text);
    await userEvent.click(text);
    await userEvent.paste("public,guest\n203.0.113.10,10.0.0.2\n");
    expect(isDisabled(button("Import"))).toBe(false);
});

test.each([
    ["host.example.org", "localhost", true], ["203.0.113.1", "localhost", true], ["localhost", "localhost", false], ["127.0.0.1", "localhost", false],
    ["[::1]", "localhost", false], ["desk.example.org", "other.example.org", false],
])("a new connection from %s to %s proves something: %s", (hostname, managed, proves) => {
    expect(provesSomething(hostname, managed)).toBe(proves);
});
