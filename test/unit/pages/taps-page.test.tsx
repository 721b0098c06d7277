/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
import { jest } from "@jest/globals";
import { cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { Plan } from "../../../src/model/plan.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import { withTaps } from "../../harness/taps.ts";
import { bareMachine, stubCockpit } from "./cockpit-stub.ts";

jest.setTimeout(60_000); // typing is slow on a busy machine
stubCockpit();
const { TapsPage } = await import("../../../src/pages/taps/index.tsx");
const { InterfaceDialog } = await import("../../../src/pages/guests/interface-dialog.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { ExecuteContext } = await import("../../../src/ui/executor.ts");
const { SnapshotContext } = await import("../../../src/ui/snapshot-context.ts");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

let ran: Plan[];
beforeEach(() => { ran = []; });
afterEach(cleanup);

function show(snapshot: Snapshot, content = <TapsPage />) {
    render(
        <AccessContext value="granted">
            <ExecuteContext value={plan => { ran.push(plan); return Promise.resolve({ state: "done", holds: true }); }}>
                <SnapshotContext value={snapshot}><Toasts>{content}</Toasts></SnapshotContext>
            </ExecuteContext>
        </AccessContext>,
    );
}

const rowOf = (name: string) => {
    const row = screen.getByRole("link", { name }).closest("tr");
    if (!row)
        throw new Error(`no row of ${name}`);
    return within(row);
};
const field = (label: RegExp) => screen.getByLabelText<HTMLInputElement>(label);
const runnable = (name: string) => {
    const button = screen.getByRole("button", { name });
    return !button.hasAttribute("disabled") && button.getAttribute("aria-disabled") !== "true";
};
/** systemd-networkd runs on the made-up host. */
const keptOff = (name: string) => [`write /etc/systemd/network/00-kvm-tap-${name}.network`, "networkctl reload"];
const commands = () => ran.flatMap(plan => plan.steps.map(({ does }) => does.type === "command" ? does.argv.join(" ") : `write ${does.path}`));

test.each([
    ["styx0", /In order/, "styx"], ["lethe0", /Differs from its file/, "lethe"], ["cocytus0", /Missing/, "cocytus"],
    ["charon_pvnet1", /Gone after a reboot/, "charon"], ["gone0", /Left over/, "–"], ["asphodel0", /systemd-networkd/, "asphodel"],
    ["tartarus0", /libvirt, when tartarus starts/, "tartarus"], ["old_guest0", /Named by no guest/, "–"],
])("%s: what the page says of it", (name, words, user) => {
    show(withTaps(0));
    const row = rowOf(name);
    expect(row.getByText(words)).toBeTruthy();
    expect(row.getAllByText(user).length).toBeGreaterThan(0);
});

test("without guests nobody knows who uses a device, and nothing is called left over", () => {
    show({ ...withTaps(0), guests: { state: "failed", says: { id: "libvirt does not answer" }, words: "" } });
    expect(rowOf("charon_pvnet1").getByText("not known")).toBeTruthy();
    expect(screen.queryByText(/Named by no guest/)).toBeNull();
});

test("a device is created as the form says, and bad input is told while typing", async () => {
    show(withTaps(0));
    await userEvent.click(screen.getByRole("button", { name: "Create device…" }));
    expect(runnable("Create")).toBe(false);
    for (const [label, bad, sentence] of [
        [/^Name/, "styx0", /exists already/], [/^Name/, "a b", /Use only letters/], [/^Guest addresses/, "10.0.0.300", /Enter an IP address/],
        [/^Guest addresses/, "10.0.0.3", /routed to styx0 already/],
    ] as const) {
        await userEvent.clear(field(label));
        await userEvent.type(field(label), bad);
        expect(screen.getByText(sentence)).toBeTruthy();
    }
    await userEvent.clear(field(/^Name/));
    await userEvent.type(field(/^Name/), "new0");
    await userEvent.clear(field(/^Guest addresses/));
    await userEvent.type(field(/^Guest addresses/), "10.0.0.50 2001:db8::50");
    expect(field(/^Gateway/).value).toBe("169.254.0.1 fe80::1/64");
    await userEvent.click(screen.getByRole("button", { name: "Create" }));
    expect(commands()).toEqual([...keptOff("new0"), "write /etc/kvm-tap/new0.tap", "write /etc/sysctl.d/60-kvm-tap-new0.conf",
        "systemctl enable --now kvm-tap@new0.service"]);
});

test("choosing a guest fills in the name that its definition waits for", async () => {
    show(withTaps(0));
    await userEvent.click(screen.getByRole("button", { name: "Create device…" }));
    await userEvent.selectOptions(field(/^For the guest/), "cocytus");
    expect(field(/^Name/).value).toBe("cocytus0");
    expect(screen.getByText(/describes a device of this name already/)).toBeTruthy();
});

test.each<[string, string, string, readonly string[]]>([
    ["cocytus0", "Bring back…", "Bring back", ["write /etc/sysctl.d/60-kvm-tap-cocytus0.conf", "systemctl restart kvm-tap@cocytus0.service"]],
    ["charon_pvnet1", "Take over…", "Take over", [...keptOff("charon_pvnet1"), "write /etc/kvm-tap/charon_pvnet1.tap", "write /etc/sysctl.d/60-kvm-tap-charon_pvnet1.conf", "systemctl enable --now kvm-tap@charon_pvnet1.service"]],
    ["lethe0", "Make device and file agree…", "Take over what runs", ["write /etc/kvm-tap/lethe0.tap"]],
    ["styx0", "No longer at boot…", "No longer at boot", ["systemctl disable kvm-tap@styx0.service"]],
    ["old_guest0", "Delete…", "Delete", ["systemctl disable --now kvm-tap@old_guest0.service", "write /etc/kvm-tap/old_guest0.tap"]],
])("%s: %s", async (name, entry, button, expected) => {
    show(withTaps(0));
    await userEvent.click(screen.getByRole("button", { name: `Actions for ${name}` }));
    await userEvent.click(await screen.findByRole("menuitem", { name: entry }));
    await userEvent.click(screen.getByRole("button", { name: button }));
    expect(commands()).toEqual(expected);
});

test("deleting takes the definition along only if asked", async () => {
    show(withTaps(0));
    await userEvent.click(screen.getByRole("button", { name: "Actions for charon_pvnet1" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Delete…" }));
    await userEvent.click(field(/Remove the interface from the definition of charon/));
    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    expect(commands()[0]).toMatch(/detach-device .* --config$/);
    expect(commands()[1]).toMatch(/^ip tuntap del dev charon_pvnet1/);
});

test("a device that no guest names is given to one", async () => {
    show(withTaps(0));
    await userEvent.click(screen.getByRole("button", { name: "Actions for old_guest0" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Give to a guest…" }));
    expect(runnable("Give")).toBe(false);
    const choices = within(field(/^To/)).getAllByRole("option").map(option => option.textContent ?? "");
    expect(choices.filter(text => text.startsWith("cocytus"))).toEqual([
        expect.stringMatching(/^cocytus: the interface .* instead of cocytus0$/), "cocytus: a new interface",
    ]);
    await userEvent.selectOptions(field(/^To/), choices.find(text => text.includes("instead of cocytus0")) ?? "");
    await userEvent.click(screen.getByRole("button", { name: "Give" }));
    const [step] = ran.flatMap(plan => plan.steps);
    expect(step?.does.type === "command" && step.does.input).toMatch(/<target dev=['"]old_guest0['"] managed=['"]no['"]\/>/);
});

test("of two guests that name one device, one gets a device of its own", async () => {
    const snapshot = withTaps(0);
    const [charon, styx] = snapshot.guests.state === "read" ? snapshot.guests.value : [];
    if (!charon || !styx)
        throw new Error("no guests");
    const clone = { ...charon, name: "clone", uuid: "cccccccc-2222-4333-8444-555555555555" };
    show({ ...snapshot, guests: { state: "read", value: [charon, styx, clone] } });
    expect(rowOf("charon_pvnet1").getByText("Named by several guests")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Actions for charon_pvnet1" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "A device of its own for one of the guests…" }));
    expect(field(/^Name/).value).toBe("clone0");
    await userEvent.type(field(/^Guest addresses/), "10.0.0.3");
    expect(screen.getByText(/routed to styx0 already/)).toBeTruthy();
    await userEvent.clear(field(/^Guest addresses/));
    await userEvent.type(field(/^Guest addresses/), "10.0.0.90");
    await userEvent.click(screen.getByRole("button", { name: "Create" }));
    expect(commands().map(words => words.split(" ").slice(0, 5).join(" "))).toEqual([
        ...keptOff("clone0"), "write /etc/kvm-tap/clone0.tap", "write /etc/sysctl.d/60-kvm-tap-clone0.conf",
        "systemctl enable --now kvm-tap@clone0.service", `virsh -c qemu:///system update-device ${clone.uuid}`,
    ]);
});

test("a device that systemd-networkd takes, too, is kept off it", async () => {
    const snapshot = withTaps(0);
    const index = snapshot.links.state === "read" ? snapshot.links.value.find(link => link.name === "styx0")?.index ?? 0 : 0;
    show({ ...snapshot, networkd: { state: "read", value: new Map([[index, "/etc/systemd/network/90-all.network"]]) } });
    expect(rowOf("styx0").getByText("systemd-networkd takes it, too")).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Actions for styx0" }));
    await userEvent.click(await screen.findByRole("menuitem", { name: "Keep systemd-networkd off…" }));
    await userEvent.click(screen.getByRole("button", { name: "Keep off" }));
    expect(commands()).toEqual(keptOff("styx0"));
});

test("a new interface and its device in one plan, the device first", async () => {
    const snapshot = withTaps(0);
    const guest = snapshot.guests.state === "read" ? snapshot.guests.value[0] : undefined;
    if (!guest)
        throw new Error("no guest");
    show(snapshot, <InterfaceDialog guest={guest} machine={bareMachine} onClose={() => undefined} />);
    await userEvent.type(field(/^TAP device/), "second0");
    await userEvent.click(field(/Create the TAP device second0/));
    await userEvent.type(field(/^Guest addresses/), "10.0.0.60");
    await userEvent.click(screen.getByRole("button", { name: "Add" }));
    expect(commands().map(words => words.split(" ").slice(0, 4).join(" "))).toEqual([
        ...keptOff("second0"), "write /etc/kvm-tap/second0.tap", "write /etc/sysctl.d/60-kvm-tap-second0.conf",
        "systemctl enable --now kvm-tap@second0.service", "virsh -c qemu:///system attach-device",
    ]);
});
