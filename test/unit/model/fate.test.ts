// SPDX-License-Identifier: LGPL-2.1-or-later
// The decision table of what libvirt does to a device, line by line.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { fate, lifecycleEvents } from "../../../src/model/fate.ts";
import type { Circumstances, LifecycleEvent, Outcome } from "../../../src/model/fate.ts";
import type { Interface } from "../../../src/model/guest.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Link } from "../../../src/model/tap.ts";

const tap = (persistent: boolean, multiQueue: boolean): Link => ({
    index: 5, name: "ftap", mtu: 1500, up: true, carrier: false, kind: "tun", tun: { type: "tap", persistent, multiQueue, vnetHdr: true },
});
const devices = {
    none: undefined,
    persistent: tap(true, false),
    "multi-queue": tap(true, true),
    "not persistent": tap(false, false),
    macvtap: { index: 6, name: "ftap", mtu: 1500, up: true, carrier: true, kind: "macvtap" },
    dummy: { index: 7, name: "ftap", mtu: 1500, up: true, carrier: true, kind: "dummy" },
    tun: { ...tap(true, false), tun: { type: "tun", persistent: true, multiQueue: false, vnetHdr: false } },
} satisfies Record<string, Link | undefined>;
type Device = keyof typeof devices;

const releases = {
    "1.3.3": {}, "5.7.0": {}, "5.8.0": {}, "7.0.0": {}, "7.10.0": {}, "8.5.0": {},
    "9.0.0": {}, "9.0.0 deb": { version: "9.0.0", packageVersion: "9.0.0-4+deb12u2" }, "9.0.0 el": { version: "9.0.0", packageVersion: "9.0.0-10.el9" },
    "9.1.0": {}, "11.3.0": {}, "12.8.0": {},
} satisfies Record<string, Partial<Circumstances["libvirt"]>>;
type Release = keyof typeof releases;

const iface = (managed?: "yes" | "no", more: Partial<Interface> = {}): Interface =>
    ({ index: 0, xml: "", type: "ethernet", target: "ftap", sourceIps: [], ...managed && { managed }, ...more });

const startsHere: readonly LifecycleEvent[] = ["start", "failed-start", "migrate-in"];

function circumstances(release: Release, event: LifecycleEvent, more: Partial<Circumstances> = {}): Circumstances {
    return {
        libvirt: { version: release, driver: "QEMU", ...releases[release] }, guestType: "kvm", running: !startsHere.includes(event),
        savedState: false, on: { poweroff: "destroy", reboot: "restart", crash: "destroy" }, users: [], unitEnabled: false, hookInEffect: false,
        ...more,
    };
}

const old: Release[] = ["1.3.3", "5.7.0", "5.8.0", "7.0.0", "7.10.0"];
const refusing: Release[] = ["9.0.0 deb", "9.1.0", "11.3.0", "12.8.0"];
const all: Release[] = [...old, "8.5.0", "9.0.0", "9.0.0 el", ...refusing];
const knowing: Release[] = ["5.8.0", "7.0.0", "7.10.0", "8.5.0", ...refusing];
const ends: LifecycleEvent[] = ["shutdown", "destroy", "crash", "save", "migrate-out", "daemon-start-after-crash"];
const goesOn: LifecycleEvent[] = ["reset", "reboot", "daemon-restart"];

type Line = [releases: Release[], managed: ("absent" | "yes" | "no")[], device: Device, events: LifecycleEvent[], outcome: Outcome, more?: {
    iface?: Partial<Interface>; c?: Partial<Circumstances>;
}];
const unprotected: ("absent" | "yes")[] = ["absent", "yes"];
const any: ("absent" | "yes" | "no")[] = ["absent", "yes", "no"];
const queues = { iface: { queues: 2 } };

const lines: Line[] = [
    [old, unprotected, "persistent", ["start", "migrate-in", "hot-plug"], "kept"],
    [["9.0.0"], unprotected, "persistent", ["start", "migrate-in", "hot-plug"], "kept"],
    [all, unprotected, "persistent", ends, "deleted"],
    [["1.3.3", "5.7.0"], ["no"], "persistent", ends, "deleted"],
    [["1.3.3", "5.7.0"], ["no"], "none", ["start"], "made"],
    [all, unprotected, "persistent", goesOn, "kept"],
    [all, unprotected, "persistent", ["failed-start"], "deleted"],
    [all, any, "persistent", ["hot-unplug"], "kept"],
    [["7.0.0", "7.10.0"], unprotected, "persistent", ["snapshot-revert"], "kept"],
    [["8.5.0"], unprotected, "persistent", ["snapshot-revert"], "unknown"],
    [["9.0.0", ...refusing], unprotected, "persistent", ["snapshot-revert"], "deleted"],
    [["9.0.0"], ["no"], "persistent", ["start", "hot-plug", "migrate-in"], "fails"],
    [["9.0.0"], ["no"], "macvtap", ["start"], "kept"],
    [["9.0.0 el"], any, "persistent", ["start", "migrate-in", "hot-plug"], "unknown"],
    [["9.0.0 el"], ["no"], "persistent", [...ends, ...goesOn, "failed-start"], "kept"],
    [refusing, unprotected, "persistent", ["start", "migrate-in"], "fails-and-deleted"],
    [refusing, unprotected, "persistent", ["snapshot-revert"], "fails-and-deleted", { c: { running: false } }],
    [refusing, unprotected, "persistent", ["hot-plug"], "fails"],
    [all, unprotected, "none", ["start", "migrate-in", "hot-plug"], "made"],
    ...["a:b", "a/b", "a b", "a\tb", "x%dy%d", "x%s", ".", ".."].map((target): Line =>
        [all, unprotected, "none", ["start", "migrate-in", "hot-plug"], "fails", { iface: { target } }]),
    ...["a.b", "...", "\"#"].map((target): Line => [all, unprotected, "none", ["start"], "made", { iface: { target } }]),
    [all, unprotected, "not persistent", [...ends, "hot-unplug"], "gone"],
    [all, unprotected, "not persistent", goesOn, "kept"],
    [all, unprotected, "none", ["failed-start"], "gone"],
    [all, unprotected, "multi-queue", [...ends, "failed-start"], "kept"],
    [old, unprotected, "multi-queue", ["start"], "kept", queues],
    [old, unprotected, "multi-queue", ["start"], "fails"],
    [refusing, unprotected, "multi-queue", ["start"], "fails", queues],
    [old, unprotected, "persistent", ["start"], "fails-and-deleted", queues],
    [all, unprotected, "persistent", ["start"], "fails", { c: { users: ["styx"] } }],
    [all, unprotected, "persistent", ["failed-start"], "kept", { c: { users: ["styx"] } }],
    [[...old, ...refusing], unprotected, "macvtap", ["start"], "fails"],
    [[...old, ...refusing], unprotected, "dummy", ["start"], "fails"],
    [all, unprotected, "macvtap", [...ends, "failed-start"], "kept"],
    [knowing, ["no"], "persistent", [...lifecycleEvents], "kept"],
    [knowing, ["no"], "multi-queue", [...lifecycleEvents], "kept", queues],
    [knowing, ["no"], "macvtap", [...lifecycleEvents], "kept"],
    [knowing, ["no"], "multi-queue", ["start", "hot-plug", "migrate-in"], "fails"],
    [knowing, ["no"], "persistent", ["start", "hot-plug", "migrate-in"], "fails", queues],
    [knowing, ["no"], "none", ["start", "hot-plug", "migrate-in"], "fails"],
    [knowing, ["no"], "not persistent", ["start"], "fails"],
    [knowing, ["no"], "dummy", ["start", "hot-plug"], "fails"],
    [knowing, ["no"], "tun", ["start", "hot-plug"], "fails"],
    [knowing, ["no"], "multi-queue", ["start"], "kept", { iface: { queues: 2 }, c: { users: ["styx"] } }],
    [all, unprotected, "persistent", ["start", "failed-start", "hot-plug", "migrate-in"], "not-used", { iface: { target: "vnet5" } }],
    [knowing, ["no"], "persistent", ["start"], "kept", { iface: { target: "vnet5" } }],
    [all, ["no"], "none", ["start"], "fails", { iface: { target: "sixteen-bytes-xx" } }],
    [["12.8.0"], any, "not persistent", ["reset"], "unknown", { c: { launchSecurity: "tdx" } }],
    [["11.3.0"], unprotected, "not persistent", ["reset"], "kept", { c: { launchSecurity: "tdx" } }],
    [all, unprotected, "persistent", ["reboot"], "deleted", { c: { on: { poweroff: "destroy", reboot: "destroy", crash: "destroy" } } }],
    [["7.10.0", "11.3.0"], unprotected, "persistent", ["shutdown"], "kept", { c: { on: { poweroff: "restart", reboot: "restart", crash: "destroy" } } }],
    [["7.0.0"], unprotected, "persistent", ["shutdown"], "deleted", { c: { on: { poweroff: "restart", reboot: "restart", crash: "destroy" } } }],
    [all, any, "persistent", ["start"], "unknown", { c: { savedState: true } }],
    [all, any, "persistent", [...lifecycleEvents], "unknown", { c: { guestType: "lxc" } }],
    [all, any, "none", ["start", "destroy"], "not-used", { iface: { type: "user" } }],
    [all, unprotected, "not persistent", ["destroy"], "gone", { iface: { type: "bridge" } }],
    [refusing, unprotected, "persistent", ["start"], "fails", { iface: { type: "network" } }],
];

test.each(lines.map(line => [inWords(line), line] as const))("%s", (_words, [releasesOf, managedOf, device, events, outcome, more = {}]) => {
    for (const release of releasesOf) {
        for (const managed of managedOf) {
            const which = iface(managed === "absent" ? undefined : managed, more.iface);
            const found = events.map(event => [event, fate(event, which, devices[device], circumstances(release, event, more.c)).outcome]);
            expect({ release, managed, found }).toEqual({ release, managed, found: events.map(event => [event, outcome]) });
        }
    }
});

function inWords([releasesOf, managed, device, events, outcome, more]: Line): string {
    return `${releasesOf.join(" ")}: managed ${managed.join("/")}, device ${device}, ${events.join(" ")} ${more ? JSON.stringify(more) : ""} → ${outcome}`;
}

describe("the hook", () => {
    const protectedNext = iface("no");
    const hook: Partial<Circumstances> = { unitEnabled: true, hookInEffect: true, configured: protectedNext };

    test.each<[string, LifecycleEvent, Interface, Device, Partial<Circumstances>, Outcome]>([
        ["brings back what a stop on the old definition deletes", "destroy", iface(), "persistent", hook, "restored"],
        ["brings back libvirt's own device as the administrator's", "crash", iface(), "not persistent", hook, "restored"],
        ["makes a missing device at the start", "start", iface("no"), "none", { ...hook, running: false }, "restored"],
        ["makes it for an incoming guest, too", "migrate-in", iface("no"), "none", { ...hook, running: false }, "restored"],
        ["does not run on hot-plug", "hot-plug", iface("no"), "none", hook, "fails"],
        ["not without the unit", "destroy", iface(), "persistent", { ...hook, unitEnabled: false }, "deleted"],
        ["not when libvirt has not noticed it", "destroy", iface(), "persistent", { ...hook, hookInEffect: false }, "deleted"],
        ["not when nobody knows whether it noticed", "destroy", iface(), "persistent", { ...hook, hookInEffect: "unknown" }, "deleted"],
        ["not when the configured definition names another device", "destroy", iface(), "persistent",
            { ...hook, configured: iface("no", { target: "other" }) }, "deleted"],
        ["not when the configured definition is unprotected", "destroy", iface(), "persistent", { ...hook, configured: iface() }, "deleted"],
        ["has nothing to do for a protected one", "destroy", iface("no"), "persistent", hook, "kept"],
    ])("%s", (_what, event, which, device, more, outcome) => {
        expect(fate(event, which, devices[device], circumstances("11.3.0", event, more)).outcome).toBe(outcome);
    });
});

test("is total: every answer has a reason, and a version that nobody knows is unknown", () => {
    const version = fc.oneof(fc.constantFrom("", "0.6.0", "1.3.2", "banana", "99.0.0"), fc.constantFrom(...all));
    fc.assert(fc.property(
        version, fc.constantFrom(...lifecycleEvents), fc.constantFrom("absent", "yes", "no"), fc.constantFrom(...Object.keys(devices)),
        fc.option(fc.constantFrom("ftap", "vnet1", "tap%d", "")), fc.option(fc.integer({ min: 1, max: 300 })), fc.boolean(), fc.boolean(),
        fc.constantFrom("ethernet", "bridge", "network", "direct", "user", ""),
        (libvirt, event, managed, device, target, queueCount, running, unitEnabled, type) => {
            const found = fate(event, {
                index: 0, xml: "", sourceIps: [], type, ...target !== null && { target }, ...queueCount !== null && { queues: queueCount },
                ...managed !== "absent" && { managed: managed === "no" ? "no" : "yes" },
            }, devices[device as Device], circumstances("11.3.0", event, {
                libvirt: { version: libvirt.split(" ")[0] ?? "", driver: "QEMU" }, running, unitEnabled, hookInEffect: true, configured: iface("no"),
            }));
            expect(inEnglish(found.because)).toMatch(/^[^$]+\.$/);
            if (["", "0.6.0", "1.3.2", "banana"].includes(libvirt))
                expect(found.outcome).toBe("unknown");
        }), { numRuns: 2000 });
});
