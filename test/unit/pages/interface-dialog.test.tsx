/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
import { jest } from "@jest/globals";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { guestOf, pairInterfaces } from "../../../src/model/guest.ts";
import type { Machine } from "../../../src/host/run.ts";
import type { Guest } from "../../../src/model/guest.ts";
import type { Plan } from "../../../src/model/plan.ts";
import { NOTHING_READ } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import { bareMachine, stubCockpit } from "./cockpit-stub.ts";

jest.setTimeout(60_000); // typing is slow on a busy machine
stubCockpit();
const { InterfaceDialog, RemoveInterfaceDialog } = await import("../../../src/pages/guests/interface-dialog.tsx");
const { InsideGuestDialog } = await import("../../../src/pages/guests/inside-guest.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { ExecuteContext } = await import("../../../src/ui/executor.ts");
const { SnapshotContext } = await import("../../../src/ui/snapshot-context.ts");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

const mac = "52:54:00:00:00:01";
const nic = (inside: string) => `<interface type='ethernet'>\n  <mac address='${mac}'/>\n  ${inside}\n  <model type='virtio'/>\n</interface>`;
const domain = (xml: string) => `<domain type='kvm'><name>charon</name><devices>${xml}</devices></domain>`;
const before = nic("<target dev='tap0'/>");

function guestWith(configured: string, live?: string): Guest {
    return guestOf({
        uuid: "1-2", state: live === undefined ? "off" : "running", persistent: true, autostart: false, managedSave: false,
        configured: domain(configured), ...live !== undefined && { live: domain(live) },
    });
}

const read = <T,>(value: T) => ({ state: "read" as const, value });

const snapshotOf = (guest: Guest): Snapshot => ({
    ...NOTHING_READ, addresses: read(new Map()), routes: read([]), needs: read(NOTHING_NEEDED),
    guests: read([guest]),
    links: read(["tap0", "tap1"].map((name, index) => ({
        index, name, mtu: 1500, up: true, carrier: false, mac: `fe:00:00:00:00:0${index}`,
        tun: { type: "tap" as const, persistent: true, multiQueue: false, vnetHdr: false },
    }))),
});

let ran: Plan[];
beforeEach(() => { ran = []; });
afterEach(cleanup);

function show(guest: Guest, dialog: React.ReactNode) {
    const page = (snapshot: Snapshot) => (
        <AccessContext value="granted">
            <ExecuteContext value={plan => { ran.push(plan); return Promise.resolve({ state: "done", holds: true }); }}>
                <SnapshotContext value={snapshot}><Toasts>{dialog}</Toasts></SnapshotContext>
            </ExecuteContext>
        </AccessContext>
    );
    const { rerender } = render(page(snapshotOf(guest)));
    return (now: Guest) => rerender(page(snapshotOf(now)));
}

const edit = (guest: Guest, machine = bareMachine) =>
    show(guest, <InterfaceDialog guest={guest} pair={pairInterfaces(guest)[0]} machine={machine} onClose={() => undefined} />);
const button = (name: string | RegExp) => screen.getByRole<HTMLButtonElement>("button", { name });
const isDisabled = (element: HTMLElement) => element.hasAttribute("disabled") || element.getAttribute("aria-disabled") === "true";
const field = (label: RegExp) => screen.getByLabelText<HTMLInputElement>(label);

async function type(label: RegExp, text: string) {
    await userEvent.clear(field(label));
    if (text !== "")
        await userEvent.type(field(label), text);
}

test("nothing changed: there is nothing to run", () => {
    edit(guestWith(before));
    expect(isDisabled(button("Change"))).toBe(true);
    expect(screen.getByText(/Nothing has to be done/)).toBeTruthy();
});

test.each([
    [/^MAC address/, "01:00:00:00:00:00", /multicast address/],
    [/^MAC address/, "fe:00:00:00:00:01", /host's own device tap1/],
    [/^TAP device/, "ab/c", /Use only letters/],
    [/^TAP device/, "vnet5", /belong to libvirt/],
    [/^Model/, "a b", /letters, digits/],
])("%s %s is refused while typing, with a sentence", async (label, text, sentence) => {
    edit(guestWith(before));
    await type(label, text);
    expect(screen.getByText(sentence)).toBeTruthy();
    expect(isDisabled(button("Change"))).toBe(true);
    expect(ran).toEqual([]);
});

test.each([[/^MTU/, "12", /68 to 65535/], [/^Queues/, "2", /one queue only/], [/^Alias/, "net0", /ua-/]])("under More: %s %s", async (label, text, sentence) => {
    edit(guestWith(before));
    await userEvent.click(screen.getByText("More"));
    await type(label, text);
    expect(screen.getByText(sentence)).toBeTruthy();
});

test("form and XML are the same thing", async () => {
    edit(guestWith(before));
    await type(/^TAP device/, "tap1");
    await userEvent.click(screen.getByRole("tab", { name: "XML" }));
    expect(field(/^Definition/).value).toBe(nic("<target dev='tap1'/>"));
    await userEvent.clear(field(/^Definition/));
    await userEvent.click(field(/^Definition/));
    await userEvent.paste("<interface type='ethernet'>");
    expect(screen.getByText(/not well-formed XML/)).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>("tab", { name: "Form" }).disabled).toBe(true);
    await userEvent.clear(field(/^Definition/));
    await userEvent.paste(nic("<target dev='tap1' managed='no'/>"));
    await userEvent.click(screen.getByRole("tab", { name: "Form" }));
    expect(field(/device belongs to/).value).toBe("no");
});

test("as XML, too, it is said what is wrong; back in the form, the field that it is about is there", async () => {
    edit(guestWith(before));
    await userEvent.click(screen.getByRole("tab", { name: "XML" }));
    await userEvent.clear(field(/^Definition/));
    await userEvent.click(field(/^Definition/));
    await userEvent.paste(nic("<target dev='tap0'/><driver rx_queue_size='300'/>"));
    expect(screen.getByText(/A queue size is a power of two/)).toBeTruthy();
    await userEvent.click(screen.getByRole("tab", { name: "Form" }));
    expect(screen.getByText(/A queue size is a power of two/)).toBeTruthy();
    await type(/^Receive queue size/, "512");
    expect(screen.queryByText(/A queue size is a power of two/)).toBeNull();
    expect(field(/^Receive queue size/).value).toBe("512");
});

const asks = (said: string): Machine => ({ ...bareMachine, run: () => Promise.resolve(said) });

test("what the schema does not know is said with its line, and refused by nobody but libvirt", async () => {
    edit(guestWith(before), asks("Relax-NG validity error : Extra element model in interleave\n"));
    await userEvent.click(await screen.findByRole("button", { name: "Line 4" }));
    const area = field(/^Definition/);
    expect(area.value.slice(area.selectionStart ?? 0, area.selectionEnd ?? 0)).toBe("  <model type='virtio'/>");
    await userEvent.click(screen.getByRole("tab", { name: "Form" }));
    await userEvent.selectOptions(field(/device belongs to/), "no");
    expect(isDisabled(button("Change"))).toBe(false);
});

test("libvirt's parser has the last word about what is XML", async () => {
    edit(guestWith(before), asks("-:2: parser error : Entity 'foo' not defined\n  &foo;\n  ^\n"));
    await userEvent.click(screen.getByRole("tab", { name: "XML" }));
    expect(await screen.findByText(/line 2: Entity 'foo' not defined/)).toBeTruthy();
    expect(isDisabled(button("Change"))).toBe(true);
});

test("the plan that was shown runs, and its button says so", async () => {
    edit(guestWith(before));
    await userEvent.selectOptions(field(/device belongs to/), "no");
    await userEvent.click(button("Change"));
    const [step] = ran[0]?.steps ?? [];
    expect(step?.does).toMatchObject({ argv: ["virsh", "-c", "qemu:///system", "update-device", "1-2", "/dev/stdin", "--config"] });
    expect(step?.does.type === "command" && step.does.input).toBe(nic("<target dev='tap0' managed='no'/>"));
});

test("two people: what the other changed is shown, and not overwritten", async () => {
    const update = edit(guestWith(before));
    await userEvent.selectOptions(field(/device belongs to/), "no");
    update(guestWith(nic("<target dev='tap1'/>")));
    expect(screen.getByText(/changed by somebody else meanwhile/)).toBeTruthy();
    expect(isDisabled(button("Change"))).toBe(true);
    await userEvent.click(button(/Start again from what is there now/));
    expect(field(/^TAP device/).value).toBe("tap1");
    await userEvent.selectOptions(field(/device belongs to/), "no");
    expect(isDisabled(button("Change"))).toBe(false);
});

test("a running guest: the person says when, and hears what waits", async () => {
    edit(guestWith(before, before));
    await type(/^Model/, "e1000");
    expect(screen.getByText(/runs on with the old interface/)).toBeTruthy();
    await userEvent.selectOptions(field(/^Takes effect/), "replug");
    expect(screen.queryByText(/runs on with the old interface/)).toBeNull();
    await userEvent.click(button("Change"));
    expect(ran[0]?.steps.map(({ does }) => does.type === "command" ? does.argv.slice(3, 4).concat(does.argv.slice(6)).join(" ") : ""))
        .toEqual(["detach-device --live", "attach-device --live", "update-device --config"]);
});

test("a new interface starts with a MAC address and asks for the device", async () => {
    const guest = guestWith(before);
    show(guest, <InterfaceDialog guest={guest} machine={bareMachine} onClose={() => undefined} />);
    expect(field(/^MAC address/).value).toMatch(/^52:54:00:/);
    expect(isDisabled(button("Add"))).toBe(true);
    await type(/^TAP device/, "tap1");
    await userEvent.click(button("Add"));
    expect(ran[0]?.steps.length).toBe(1);
});

test("converting drops what belongs to the old type", async () => {
    edit(guestWith(before));
    await userEvent.selectOptions(field(/^Connected to/), "bridge");
    expect(isDisabled(button("Change"))).toBe(true);
    await type(/^Bridge/, "br0");
    await userEvent.click(button("Change"));
    const [step] = ran[0]?.steps ?? [];
    expect(step?.does.type === "command" && step.does.input).toMatch(/type='bridge'[^]*<source bridge='br0'\/>/);
    expect(step?.does.type === "command" && step.does.input).not.toMatch(/target/);
});

test("back and forth within the dialog nothing is lost", async () => {
    edit(guestWith(nic("<target dev='tap0' managed='no'/>")));
    await userEvent.selectOptions(field(/^Connected to/), "bridge");
    expect(screen.getByText(/journal does not know how it was connected before/)).toBeTruthy();
    await userEvent.selectOptions(field(/^Connected to/), "ethernet");
    expect(field(/^TAP device/).value).toBe("tap0");
});

test("removing says what stays", async () => {
    const guest = guestWith(before);
    show(guest, <RemoveInterfaceDialog guest={guest} pair={pairInterfaces(guest)[0] ?? {}} onClose={() => undefined} />);
    expect(screen.getByText(/TAP device tap0, its addresses and mappings stay/)).toBeTruthy();
    await userEvent.click(button("Remove"));
    expect(ran[0]?.steps[0]?.does).toMatchObject({ argv: expect.arrayContaining(["detach-device", "--config"]) });
});

test("for the inside of the guest: the tool's file, and what is no address", async () => {
    const guest = guestWith(before);
    const iface = pairInterfaces(guest)[0]?.configured;
    if (!iface)
        throw new Error("no interface");
    show(guest, <InsideGuestDialog guest={guest} iface={iface} addresses={["10.0.0.2"]} onClose={() => undefined} />);
    expect(screen.getByRole("group", { name: "systemd-networkd" }).textContent).toContain(`MACAddress=${mac}`);
    await userEvent.selectOptions(field(/^Configured by/), "netplan");
    await type(/^Name servers/, "192.0.2.53");
    expect(screen.getByRole("group", { name: "netplan" }).textContent).toContain("- \"192.0.2.53\"");
    await type(/^Guest addresses/, "10.0.0");
    expect(screen.getByText("10.0.0 is not an address.")).toBeTruthy();
});
