// SPDX-License-Identifier: LGPL-2.1-or-later
import { describe, expect, test } from "@jest/globals";
import { devicesAtRisk, glance, lifecycle, subjects } from "../../../src/model/glance.ts";
import type { HostFacts } from "../../../src/model/glance.ts";
import { guestOf } from "../../../src/model/guest.ts";
import type { Guest } from "../../../src/model/guest.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import type { Link } from "../../../src/model/tap.ts";

const tap = (name: string, persistent = true, multiQueue = false, carrier = false): Link =>
    ({ index: 5, name, mtu: 1500, up: true, carrier, kind: "tun", tun: { type: "tap", persistent, multiQueue, vnetHdr: true } });

type Nic = { target?: string; managed?: string; queues?: number; type?: string };

const domain = (name: string, nics: Nic[]) => `<domain type='kvm'><name>${name}</name><devices>${nics.map((nic, index) =>
    `<interface type='${nic.type ?? "ethernet"}'><mac address='52:54:00:00:00:0${index}'/>`
    + (nic.target ? `<target dev='${nic.target}'${nic.managed ? ` managed='${nic.managed}'` : ""}/>` : "")
    + `<driver queues='${nic.queues ?? 1}'/><address type='pci' slot='${index}'/></interface>`).join("")}</devices></domain>`;

const guest = (name: string, configured?: Nic[], live?: Nic[], managedSave = false): Guest => guestOf({
    uuid: name, state: live ? "running" : "off", persistent: !!configured, autostart: false, managedSave,
    ...configured && { configured: domain(name, configured) }, ...live && { live: domain(name, live) },
});

const host = (guests: Guest[], links: Link[], more: Partial<HostFacts> = {}): HostFacts => ({
    libvirt: { version: "11.3.0", driver: "QEMU" }, links: new Map(links.map(link => [link.name, link])), units: new Map(),
    hook: { installed: true, inEffect: true }, guests, ...more,
});

const yes: Nic = { target: "t0" };
const no: Nic = { target: "t0", managed: "no" };
const unit = { units: new Map([["t0", { name: "t0", enabled: true, active: "active" }]]) };
const before91 = { libvirt: { version: "7.0.0", driver: "QEMU" } };

describe("glance", () => {
    test.each<[string, Guest, Link[], Partial<HostFacts>, string, boolean]>([
        ["Start fails, device is deleted", guest("g", [yes]), [tap("t0")], {}, "danger", true],
        ["Deleted when the guest stops", guest("g", [yes], [yes]), [tap("t0", true, false, true)], before91, "danger", true],
        ["Deleted when the guest stops", guest("g", [no], [yes]), [tap("t0", true, false, true)], {}, "danger", true],
        ["Deleted when the guest stops", guest("g", undefined, [yes]), [tap("t0", true, false, true)], {}, "danger", true],
        ["Deleted at the next stop or failed start", guest("g", [yes]), [tap("t0")], before91, "danger", true],
        ["Next start fails, device is deleted", guest("g", [yes], [no]), [tap("t0", true, false, true)], {}, "danger", true],
        ["Start fails: device missing", guest("g", [no]), [], {}, "danger", false],
        ["Start fails: device missing", guest("g", [no], [yes]), [tap("t0", false, false, true)], {}, "danger", false],
        ["Missing, made again at the next start", guest("g", [no]), [], unit, "warning", false],
        ["Start fails: queues do not match", guest("g", [{ ...no, queues: 4 }]), [tap("t0")], {}, "danger", false],
        ["Start fails: used by styx", guest("g", [no]), [tap("t0", true, false, true)], { otherUsers: new Map([["t0", ["styx"]]]) }, "danger", false],
        ["Start fails: device in use", guest("g", [no]), [tap("t0", true, false, true)], {}, "danger", false],
        ["Start fails: device exists", guest("g", [{ ...yes, queues: 2 }]), [tap("t0", true, true)], {}, "danger", false],
        ["Start fails: not a TAP device", guest("g", [no]), [{ index: 1, name: "t0", mtu: 1500, up: true, carrier: true, kind: "dummy" }], {}, "danger", false],
        ["Name is dropped", guest("g", [{ target: "vnet5" }]), [tap("vnet5")], {}, "warning", false],
        ["Pending: protected from the next start", guest("g", [no], [yes]), [tap("t0", true, false, true)], unit, "warning", false],
        ["Pending: protected from the next start", guest("g", [no], [yes]), [tap("t0", false, false, true)], unit, "warning", false],
        ["Made by libvirt, gone when the guest stops", guest("g", [yes], [yes]), [tap("t0", false, false, true)], {}, "info", false],
        ["Made by libvirt, gone when the guest stops", guest("g", [yes]), [], {}, "info", false],
        ["Made by libvirt, gone when the guest stops", guest("g", [{ type: "network" }]), [], {}, "info", false],
        ["Kept, by chance", guest("g", [{ ...yes, queues: 2 }]), [tap("t0", true, true)], before91, "warning", false],
        ["Kept, by chance", guest("g", [{ ...yes, queues: 2 }], [{ ...yes, queues: 2 }]), [tap("t0", true, true, true)], before91, "warning", false],
        ["Kept", guest("g", [no]), [tap("t0")], {}, "success", false],
        ["Kept", guest("g", [no], [no]), [tap("t0", true, false, true)], {}, "success", false],
        ["Device missing", guest("g", [no], [no]), [], {}, "danger", false],
        ["No TAP device", guest("g", [{ type: "user" }]), [], {}, "info", false],
        ["Not known", guest("g", [no], undefined, true), [tap("t0")], {}, "unknown", false],
        ["Not known", guest("g", [yes]), [tap("t0")], { libvirt: { version: "1.2.0", driver: "QEMU" } }, "unknown", false],
    ])("%s", (label, which, links, more, severity, atRisk) => {
        const [found] = subjects(host([which], links, more)).map(glance);
        expect({ ...found, label: found && inEnglish(found.label) }).toMatchObject({ label, severity, atRisk });
    });

    test("another guest that runs on the device uses it", () => {
        const [, second] = subjects(host([guest("styx", [no], [no]), guest("g", [no])], [tap("t0", true, false, true)]));
        expect(second && inEnglish(glance(second).label)).toBe("Start fails: used by styx");
    });

    test("a guest whose definition cannot be read has no interfaces, and hides none", () => {
        const strange = guestOf({ uuid: "x", state: "off", persistent: true, autostart: false, managedSave: false, problem: msg("No.") });
        expect(subjects(host([strange, guest("g", [no])], [tap("t0")]))).toHaveLength(1);
    });
});

test("devices at risk are counted once each", () => {
    const guests = [guest("a", [yes]), guest("b", [yes]), guest("c", [{ target: "t1" }]), guest("d", [{ target: "t2", managed: "no" }])];
    expect(devicesAtRisk(subjects(host(guests, [tap("t0"), tap("t1"), tap("t2")])))).toEqual(["t0", "t1"]);
});

test.each<[string, Nic, Nic, boolean, boolean, string[]]>([
    ["runs protected, starts unprotected on another", { target: "t1" }, no, true, true, ["t1"]],
    ["runs unprotected, starts protected on another", { target: "t1", managed: "no" }, yes, true, true, ["t0"]],
    ["unprotected on both", { target: "t1" }, yes, true, true, ["t0", "t1"]],
    // The one that goes is libvirt's own, the persistent one is not touched.
    ["what is deleted is not persistent", { target: "t1", managed: "no" }, yes, false, true, []],
    ["what is persistent is kept", { target: "t1" }, no, true, false, []],
])("a guest that runs on one device and starts on another: %s", (_what, configured, live, first, second, names) => {
    const links = [tap("t0", first, false, true), tap("t1", second)];
    const all = subjects(host([guest("g", [configured], [live])], links, before91));
    expect(devicesAtRisk(all)).toEqual(names);
    if (names.length > 0)
        expect(all.map(subject => glance(subject).severity)).toEqual(["danger"]);
});

test("the life cycle of a guest that is off: as if it started now", () => {
    const [subject] = subjects(host([guest("g", [yes])], []));
    const fates = subject && Object.fromEntries([...lifecycle(subject)].map(([event, { outcome }]) => [event, outcome]));
    expect(fates).toEqual({
        "start": "made", "failed-start": "gone", "migrate-in": "made", "reboot": "kept", "reset": "kept", "hot-plug": "made", "hot-unplug": "gone",
        "snapshot-revert": "made", "daemon-restart": "kept", "shutdown": "gone", "destroy": "gone", "crash": "gone", "save": "gone",
        "migrate-out": "gone", "daemon-start-after-crash": "gone",
    });
});

test.each<[string, Nic, Nic, boolean, string]>([
    ["libvirt's own goes with the plug, and is made again", yes, yes, false, "made"],
    ["a protected one", no, no, true, "kept"],
    ["what is configured counts, not what runs", no, yes, true, "kept"],
    ["nobody has made it", no, yes, false, "fails"],
])("plugged out of a running guest and in again: %s", (_what, configured, live, persistent, outcome) => {
    const [subject] = subjects(host([guest("g", [configured], [live])], [tap("t0", persistent, false, true)]));
    expect(subject && lifecycle(subject).get("hot-plug")?.outcome).toBe(outcome);
});
