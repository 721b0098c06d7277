// SPDX-License-Identifier: LGPL-2.1-or-later
import { formerly, foundMeanwhile, planInterface, planRemoveInterface } from "../../../src/actions/edit-interface.ts";
import type { InterfaceWish } from "../../../src/actions/edit-interface.ts";
import { guestOf, pairInterfaces } from "../../../src/model/guest.ts";
import type { Guest } from "../../../src/model/guest.ts";
import { convertedTo, formOf, newInterface, withFields } from "../../../src/model/interface-form.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Planned, Step } from "../../../src/model/plan.ts";
import { NOTHING_READ } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import type { Link } from "../../../src/model/tap.ts";

const link = (name: string, more: Partial<Link> = {}): Link => ({ index: 1, name, mtu: 1500, up: true, carrier: false, ...more });
const tap = (name: string, multiQueue = false) =>
    link(name, { kind: "tun", mac: "fe:00:00:00:00:01", tun: { type: "tap", persistent: true, multiQueue, vnetHdr: false } });

const read = <T,>(value: T) => ({ state: "read" as const, value });

function snapshotOf(guests: readonly Guest[], more: Partial<Snapshot> = {}): Snapshot {
    return {
        ...NOTHING_READ, guests: read(guests), addresses: read(new Map()), routes: read([]), needs: read(NOTHING_NEEDED),
        links: read([tap("tap0"), tap("tap1"), tap("many", true), link("br0", { kind: "bridge" })]), ...more,
    };
}

const pci = (slot: number) => `<address type='pci' domain='0x0000' bus='0x00' slot='0x0${slot}' function='0x0'/>`;
const nic = (mac: string, slot: number | undefined, inside: string, type = "ethernet") =>
    `<interface type='${type}'><mac address='${mac}'/>${inside}${slot === undefined ? "" : pci(slot)}</interface>`;

const macs = ["52:54:00:00:00:01", "52:54:00:00:00:02"] as const;
const first = nic(macs[0], 3, "<target dev='tap0'/><model type='virtio'/>");
const firstLive = nic(macs[0], 3, "<target dev='tap0'/><model type='virtio'/><alias name='net0'/>");
const bridged = nic(macs[1], 4, "<source bridge='br0'/><model type='e1000'/>", "bridge");

function guest(uuid: string, configured: readonly string[] | undefined, live?: readonly string[]): Guest {
    const domain = (nics: readonly string[]) => `<domain type='kvm'><name>${uuid}</name><devices>${nics.join("")}</devices></domain>`;
    return guestOf({
        uuid, state: live ? "running" : "off", persistent: configured !== undefined, autostart: false, managedSave: false,
        ...configured && { configured: domain(configured) }, ...live && { live: domain(live) },
    });
}

function plan(guests: readonly Guest[], index: number | undefined, wish: Partial<InterfaceWish> & { xml: string }): Planned {
    const [subject] = guests;
    const opened = index === undefined || !subject ? undefined : pairInterfaces(subject)[index];
    return planInterface(snapshotOf(guests), { uuid: subject?.uuid ?? "", opened, config: true, live: "no", ...wish });
}

const verbs = (planned: Planned) => "plan" in planned ? planned.plan.steps.map(step => verb(step.does)) : problems(planned);
const undos = (planned: Planned) => "plan" in planned ? planned.plan.steps.map(step => verb(step.undo)) : problems(planned);
const problems = (planned: Planned) => "problems" in planned ? planned.problems.map(({ field, says }) => `${field}: ${inEnglish(says)}`) : [];
const notesOf = (planned: Planned) => "plan" in planned ? (planned.plan.notes ?? []).map(inEnglish).join("\n") : "";
const verb = (does: Step["does"] | undefined) => does?.type === "command" ? `${does.argv[3]} ${does.argv[6]}` : "none";
const inputs = (planned: Planned) => "plan" in planned ? planned.plan.steps.map(({ does }) => does.type === "command" ? does.input : undefined) : [];

const off = guest("charon", [first, bridged]);
const running = guest("charon", [first, bridged], [firstLive, bridged]);

test.each<[string, Planned, readonly string[]]>([
    ["managed='no' in the definition", plan([off], 0, { xml: withFields(first, { managed: "no" }) }), ["update-device --config"]],
    ["nothing changed", plan([off], 0, { xml: first }), []],
    ["nothing changed but the way it is written", plan([off], 0, { xml: first.replaceAll("'", "\"").replaceAll("><", ">\n<") }), []],
    ["another MAC address", plan([off], 0, { xml: withFields(first, { mac: "52:54:00:00:00:09" }) }), ["detach-device --config", "attach-device --config"]],
    ["another PCI address", plan([off], 0, { xml: withFields(first, { pci: "0000:00:07.0" }) }),
        ["detach-device --config", "attach-device --config"]],
    ["another alias", plan([off], 0, { xml: withFields(first, { alias: "ua-up" }) }), ["detach-device --config", "attach-device --config"]],
    ["link state, running guest too", plan([running], 0, { xml: withFields(first, { linkState: "down" }), live: "change" }),
        ["update-device --live", "update-device --config"]],
    ["what cannot change live", plan([running], 0, { xml: withFields(first, { mtu: "1400" }), live: "change" }), ["update-device --config"]],
    ["unplug and plug in again", plan([running], 0, { xml: withFields(first, { mtu: "1400" }), live: "replug" }),
        ["detach-device --live", "attach-device --live", "update-device --config"]],
    ["guest off: nothing live", plan([off], 0, { xml: withFields(first, { linkState: "down" }), live: "change" }), ["update-device --config"]],
    ["to ethernet", plan([off], 1, { xml: withFields(convertedTo(bridged, "ethernet"), { target: "tap1" }) }), ["update-device --config"]],
    ["a new one", plan([running], undefined, { xml: newInterface("52:54:00:00:00:09", "tap1"), live: "change" }),
        ["attach-device --live", "attach-device --config"]],
])("%s", (_title, planned, expected) => {
    expect(verbs(planned)).toEqual(expected);
    const inverse: Record<string, string> = { "update-device": "update-device", "attach-device": "detach-device", "detach-device": "attach-device" };
    expect(undos(planned)).toEqual(expected.map(command => command.replace(/^\S+/, found => inverse[found] ?? "")));
});

test("the address is sent although the wish left it out, and the MAC address always", () => {
    const [sent] = inputs(plan([off], 0, { xml: newInterface(macs[0], "tap0") }));
    expect(sent).toContain("slot='0x03'");
    expect(sent).toContain(macs[0]);
});

test("a live update never sends the wished `managed`", () => {
    const [live, config] = inputs(plan([running], 0, { xml: withFields(first, { managed: "no", linkState: "down" }), live: "change" }));
    expect(live).not.toContain("managed");
    expect(live).toContain("<link state='down'/>");
    expect(config).toContain("managed='no'");
});

const twin = (slot?: number) => nic(macs[0], slot, "<target dev='tap1'/>");
test("duplicate MAC addresses are told apart by the PCI address, and refused without one", () => {
    const change = { linkState: "down" } as const;
    const [sent] = inputs(plan([guest("a", [first, twin(5)])], 1, { xml: withFields(twin(5), change) }));
    expect(sent).toContain("slot='0x05'");
    expect(verbs(plan([guest("a", [twin(), nic(macs[0], undefined, "<target dev='tap0'/>")])], 0, { xml: withFields(twin(), change) }))[0])
        .toMatch(/same MAC address and no PCI address/);
});

test("what was changed meanwhile is not overwritten, and can be shown", () => {
    const opened = pairInterfaces(off)[0] ?? {};
    const changed = guest("charon", [withFields(first, { mtu: "1280" }), bridged]);
    const planned = planInterface(snapshotOf([changed]), { uuid: "charon", opened, xml: withFields(first, { managed: "no" }), config: true, live: "no" });
    expect(problems(planned)).toEqual(["meanwhile: The interface was changed by somebody else meanwhile."]);
    expect(foundMeanwhile(snapshotOf([changed]), "charon", opened)?.configured?.mtu).toBe(1280);
    const started = planInterface(snapshotOf([running]), { uuid: "charon", opened, xml: withFields(first, { managed: "no" }), config: true, live: "no" });
    expect(verbs(started)).toEqual(["update-device --config"]);
});

test("what was converted is kept for the history, and found again there, newest first", () => {
    const planned = plan([off], 1, { xml: withFields(convertedTo(bridged, "ethernet"), { target: "tap1" }) });
    expect("plan" in planned && planned.plan.about).toEqual({ guest: "charon", device: "tap1", was: bridged });
    const unchanged = plan([off], 0, { xml: withFields(first, { mtu: "1400" }) });
    expect("plan" in unchanged && unchanged.plan.about).toEqual({ guest: "charon", device: "tap0" });
    const pair = pairInterfaces(off)[1] ?? {};
    const entry = { text: "", guest: "charon" };
    const newer = bridged.replace("br0", "br1");
    const history = { state: "read" as const, value: [
        { ...entry, time: 1, was: bridged }, { ...entry, time: 3, was: newer }, { ...entry, time: 2, was: first }, { ...entry, time: 4, was: "<no" },
        { ...entry, time: 5, guest: "styx", was: bridged }, { ...entry, time: 6 },
    ] };
    expect(formerly({ ...snapshotOf([off]), history }, off, pair))
        .toEqual([{ xml: bridged }, { xml: newer, until: 3 }, { xml: bridged, until: 1 }]);
    expect(formerly(snapshotOf([off]), off, pair)).toEqual([{ xml: bridged }]);
});

const byKind = guestOf({
    uuid: "charon", state: "off", persistent: true, autostart: false, managedSave: false,
    configured: `<domain><os><type>hvm</type><boot dev='hd'/></os><devices>${first}</devices></domain>`,
});

test.each<[string, Planned, RegExp]>([
    ["no XML", plan([off], 0, { xml: "<interface" }), /^xml: This is not well-formed XML/],
    ["another element", plan([off], 0, { xml: "<disk/>" }), /^xml: This is not an <interface>/],
    ["no MAC", plan([off], 0, { xml: withFields(first, { mac: "" }) }), /^mac: Enter a MAC/],
    ["bad MAC", plan([off], 0, { xml: withFields(first, { mac: "01:00:00:00:00:00" }) }), /^mac: .*multicast/],
    ["MAC of another interface of the guest", plan([off], 0, { xml: withFields(first, { mac: macs[1] }) }), /^mac: .*guest charon has this/],
    ["MAC of another guest", plan([off, guest("styx", [nic("52:54:00:00:00:07", 3, "")])], 0, { xml: withFields(first, { mac: "52:54:00:00:00:07" }) }), /styx/],
    ["MAC of the host's device", plan([off], 0, { xml: withFields(first, { mac: "fe:00:00:00:00:01" }) }), /^mac: The host's own device tap0/],
    ["bad target", plan([off], 0, { xml: withFields(first, { target: "a b" }) }), /^target: Use only/],
    ["no target", plan([off], 0, { xml: withFields(first, { target: "", managed: "no" }) }), /^target: Enter the name/],
    ["target is a bridge", plan([off], 0, { xml: withFields(first, { target: "br0" }) }), /^target: br0 is not a TAP/],
    ["a running guest's device", plan([off, guest("styx", undefined, [nic("52:54:00:00:00:07", 3, "<target dev='tap1'/>")])], 0,
        { xml: withFields(first, { target: "tap1" }) }), /^target: The guest styx is running on tap1/],
    ["multi-queue device, one queue", plan([off], 0, { xml: withFields(first, { target: "many" }) }), /^queues: many is a multi-queue/],
    ["one-queue device, two queues", plan([off], 0, { xml: withFields(first, { queues: "2" }) }), /^queues: tap0 has one queue/],
    ["queues", plan([off], 0, { xml: withFields(first, { queues: "257" }) }), /^queues: Enter a number/],
    ["managed on a bridge", plan([off], 1, { xml: withFields(bridged, { managed: "no" }) }), /^managed: libvirt takes/],
    ["a bridge without a bridge", plan([off], 1, { xml: withFields(bridged, { bridge: "" }) }), /^bridge: Enter the bridge/],
    ["mtu", plan([off], 0, { xml: withFields(first, { mtu: "20" }) }), /^mtu: /],
    ["boot order beside <os><boot>", plan([byKind], 0, { xml: withFields(first, { bootOrder: "1" }) }), /^bootOrder: This guest boots by kind/],
    ["queue size", plan([off], 0, { xml: withFields(first, { rxQueueSize: "300" }) }), /^rxQueueSize: A queue size is a power/],
    ["script", plan([off], 0, { xml: withFields(first, { script: "true" }) }), /^script: Enter the whole path/],
    ["PCI address", plan([off], 0, { xml: withFields(first, { pci: "03.0" }) }), /^pci: A PCI address is written/],
    ["ACPI index", plan([off], 0, { xml: withFields(first, { acpiIndex: "0" }) }), /^acpiIndex: /],
    ["alias", plan([off], 0, { xml: withFields(first, { alias: "net0" }) }), /^alias: An alias of your own/],
    ["a peak without an average", plan([off], 0, { xml: withFields(first, { inPeak: "5" }) }), /^inAverage: A peak/],
    ["nowhere", plan([off], 0, { xml: withFields(first, { mtu: "1400" }), config: false }), /^scope: Choose/],
    ["transient guest", plan([guest("t", undefined, [firstLive])], 0, { xml: firstLive }), /^scope: t is a transient/],
    ["guest gone", plan([], 0, { xml: first }), /does not exist any more/],
])("refused: %s", (_title, planned, expected) => {
    expect(problems(planned).join("\n")).toMatch(expected);
});

test("what an interface already had is not refused", () => {
    const odd = nic(macs[1], 3, "<target dev='vnet-odd'/><script path='rel'/>");
    expect(verbs(plan([guest("a", [odd, bridged])], 0, { xml: withFields(odd, { mtu: "1400" }) }))).toEqual(["update-device --config"]);
});

test.each<[string, Planned, RegExp]>([
    ["libvirt would delete the device", plan([off], 0, { xml: withFields(first, { mtu: "1400" }) }), /libvirt deletes tap0/],
    ["no such device", plan([off], 0, { xml: withFields(first, { target: "new0", managed: "no" }) }), /no device new0 yet/],
    ["pending", plan([running], 0, { xml: withFields(first, { mtu: "1400" }), live: "change" }), /runs on with the old interface/],
    ["live only", plan([running], 0, { xml: withFields(first, { mtu: "1400" }), live: "change", config: false }), /Only link state/],
    ["another definition", plan([off, guest("styx", [nic("52:54:00:00:00:07", 3, "<target dev='tap1'/>")])], 0,
        { xml: withFields(first, { target: "tap1" }) }), /definition of styx names tap1, too/],
])("said: %s", (_title, planned, expected) => {
    expect(notesOf(planned)).toMatch(expected);
});

test("nothing is said to be pending that takes effect at once", () => {
    expect(notesOf(plan([running], 0, { xml: withFields(first, { linkState: "down" }), live: "change" }))).not.toMatch(/old interface/);
});

test("the promise is judged by what was read back", () => {
    const wish = withFields(first, { managed: "no", linkState: "down" });
    const planned = plan([running], 0, { xml: wish, live: "change" });
    const holds = (configured: string, live: string) =>
        "plan" in planned && planned.plan.holds(snapshotOf([guest("charon", [configured, bridged], [live, bridged])]));
    const live = withFields(firstLive, { linkState: "down" });
    expect(holds(wish, live)).toBe(true);
    expect(holds(wish, firstLive)).toBe(false);
    expect(holds(first, live)).toBe(false);
});

describe("removing", () => {
    const remove = (guests: readonly Guest[], config: boolean, live: boolean) =>
        planRemoveInterface(snapshotOf(guests), { uuid: "charon", opened: pairInterfaces(guests[0] ?? off)[0] ?? {}, config, live });

    test.each<[string, Planned, readonly string[]]>([
        ["off", remove([off], true, true), ["detach-device --config"]],
        ["running, both", remove([running], true, true), ["detach-device --live", "detach-device --config"]],
        ["running, definition", remove([running], true, false), ["detach-device --config"]],
        ["nothing", remove([off], false, false), ["undefined: Choose where the interface is to be removed from."]],
    ])("%s", (_title, planned, expected) => expect(verbs(planned)).toEqual(expected));

    test("is undone without libvirt's own alias, and judged by what is left", () => {
        const planned = remove([running], true, true);
        const [undo] = "plan" in planned ? planned.plan.steps.map(step => step.undo) : [];
        expect(undo?.type === "command" && undo.input).toBe(first);
        const left = (live: readonly string[]) => "plan" in planned && planned.plan.holds(snapshotOf([guest("charon", [bridged], live)]));
        expect([left([bridged]), left([firstLive, bridged])]).toEqual([true, false]);
    });
});

describe("a pending change can be changed back", () => {
    const on = (target: string, mac: string = macs[0], slot: number | undefined = 3) => nic(mac, slot, `<target dev='${target}' managed='no'/><model type='virtio'/>`);
    const back = (configured: string, live: string, more: readonly string[] = []) => {
        const subject = guest("charon", [configured, ...more], [live, ...more]);
        return problems(plan([subject], 0, { xml: withFields(configured, { target: formOf(live).target, mac: formOf(live).mac }) }));
    };

    test.each<[string, string, string]>([
        ["of the device", on("tap1"), on("tap0")],
        ["of the MAC address", on("tap0", "52:54:00:00:00:09"), on("tap0")],
        ["of both", on("tap1", "52:54:00:00:00:09"), on("tap0")],
        ["of both, without a PCI address", on("tap1", "52:54:00:00:00:09", undefined), on("tap0", macs[0], undefined)],
    ])("%s", (_what, configured, live) => expect(back(configured, live, [bridged])).toEqual([]));

    test("but not to what another interface of the guest has at the next start, nor what it runs on", () => {
        const other = nic(macs[1], 4, "<target dev='tap0' managed='no'/><model type='virtio'/>");
        expect(back(on("tap1"), on("tap0"), [other])).toEqual(["target: Another interface of this guest uses tap0 already."]);
        const another = guest("styx", undefined, [nic("52:54:00:00:00:0a", 3, "<target dev='tap0'/>")]);
        const subject = guest("charon", [on("tap1")], [on("tap1")]);
        expect(problems(plan([subject, another], 0, { xml: withFields(on("tap1"), { target: "tap0" }) }))).toEqual(
            ["target: The guest styx is running on tap0. Choose another device."]);
    });

    test("an interface that only runs hides no configured one of its place", () => {
        const subject = guest("charon", [on("tap0", macs[1])], [on("tap1")]);
        const at = pairInterfaces(subject).findIndex(({ configured }) => !configured);
        expect(problems(plan([subject], at, { xml: withFields(on("tap1"), { target: "tap0" }), config: false, live: "replug" }))).toEqual(
            ["target: Another interface of this guest uses tap0 already."]);
    });
});

describe("a guest that the host itself is reached over", () => {
    const peer = { ...NOTHING_NEEDED, peers: [{ address: "10.9.0.7" }] };
    const carrying = snapshotOf([running], {
        needs: read({ ...peer, ways: new Map([["10.9.0.7", { device: "tap0" }]]) }),
        links: read([{ ...tap("tap0"), carrier: true }, tap("tap1")]),
    });
    const opened = pairInterfaces(running)[0] ?? {};
    const change = (fields: Parameters<typeof withFields>[1], live: InterfaceWish["live"]) =>
        problems(planInterface(carrying, { uuid: "charon", opened, config: true, live, xml: withFields(first, fields) }));
    const breaks = [expect.stringMatching(/connected with 10\.9\.0\.7 over tap0: this would break the connection/)];

    test("is not unplugged, plugged in anew, or without its link", () => {
        expect(problems(planRemoveInterface(carrying, { uuid: "charon", opened, config: true, live: true }))).toEqual(breaks);
        expect(change({ mtu: "1400" }, "replug")).toEqual(breaks);
        expect(change({ linkState: "down" }, "change")).toEqual(breaks);
        expect(change({ filter: "no-traffic" }, "change")).toEqual(breaks);
    });

    test("but what changes at its next start, or breaks nothing, can be changed", () => {
        expect(problems(planRemoveInterface(carrying, { uuid: "charon", opened, config: true, live: false }))).toEqual([]);
        expect(change({ linkState: "down" }, "no")).toEqual([]);
        expect(change({ inAverage: "1000" }, "change")).toEqual([]);
    });
});
