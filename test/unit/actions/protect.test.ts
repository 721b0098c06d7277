// SPDX-License-Identifier: LGPL-2.1-or-later
import { describe, expect, test } from "@jest/globals";
import { planProtect, type ProtectTarget } from "../../../src/actions/protect.ts";
import { planUnprotect, type DeviceAfter } from "../../../src/actions/unprotect.ts";
import { hostFacts, subjects } from "../../../src/model/glance.ts";
import { guestOf } from "../../../src/model/guest.ts";
import type { Guest } from "../../../src/model/guest.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { protectionOf } from "../../../src/model/protection.ts";
import { NOTHING_READ } from "../../../src/model/snapshot.ts";
import type { Libvirt, Reading, Snapshot } from "../../../src/model/snapshot.ts";
import type { Link } from "../../../src/model/tap.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

const tap = (name: string, more: { persistent?: boolean; multiQueue?: boolean; carrier?: boolean } = {}): Link => ({
    index: 5, name, mtu: 1500, up: true, carrier: more.carrier ?? false, kind: "tun", mac: "fe:54:00:00:00:01", addrGenMode: "none",
    tun: { type: "tap", persistent: more.persistent ?? true, multiQueue: more.multiQueue ?? false, vnetHdr: true },
});

interface Nic { target?: string; managed?: string; queues?: number; type?: string }

const domain = (nics: Nic[]) => `<domain type='kvm'><devices>${nics.map((nic, index) =>
    `<interface type='${nic.type ?? "ethernet"}'><mac address='52:54:00:00:00:0${index}'/>`
    + (nic.target ? `<target dev='${nic.target}'${nic.managed ? ` managed='${nic.managed}'` : ""}/>` : "")
    + (nic.queues ? `<driver queues='${nic.queues}'/>` : "") + `<address type='pci' slot='${index + 1}'/></interface>`).join("")}</devices></domain>`;

const guest = (name: string, configured?: Nic[], live?: Nic[], managedSave = false): Guest => guestOf({
    uuid: name, name, state: live ? "running" : "off", persistent: !!configured, autostart: false, managedSave,
    ...configured && { configured: domain(configured) }, ...live && { live: domain(live) },
});

interface Host {
    guests: Guest[];
    links?: Link[];
    enabled?: string[];
    files?: Record<string, string>;
    libvirt?: Partial<Libvirt>;
    hook?: boolean;
}

const host = ({ guests, links = [], enabled = [], files = {}, libvirt = {}, hook = true }: Host): Snapshot => ({
    ...NOTHING_READ,
    libvirt: read({ version: "11.3.0", driver: "QEMU", ...libvirt }), guests: read(guests), links: read(links),
    addresses: read(new Map(links.some(({ name }) => name === "t0") ? [["t0", [{ family: "inet", address: "169.254.0.1", prefix: 32, scope: "global" }]]] : [])),
    routes: read([{ family: "inet", destination: "10.0.0.2", type: "unicast", table: "main", device: "t0" }]),
    units: read(new Map(enabled.map(name => [name, { name, enabled: true, active: "active" }]))),
    enabled: read(new Set(enabled.map(name => `kvm-tap@${name}.service`))),
    files: read(new Map(Object.entries(files).map(([path, content]) => [path, { path, content }]))),
    // Those run that make devices.
    services: read(new Map(Object.keys(files).flatMap(path => path.endsWith(".netdev") ? ["systemd-networkd.service"]
        : path.startsWith("/etc/network/") ? ["networking.service"] : []).map(unit => [unit, "active"]))),
    needs: read(NOTHING_NEEDED), profiles: read(new Map()), hook: read({ installed: true, inEffect: hook }),
});

const one = (which: Host, more: Partial<ProtectTarget> = {}) => planProtect(host(which), { targets: [{ uuid: "g", index: 0, ...more }] });

/** A line a step, as one would type it. */
function inShort(planned: Planned): string[] {
    if ("problems" in planned)
        return planned.problems.map(({ says }) => `! ${inEnglish(says)}`);
    return planned.plan.steps.map(({ does }) => does.type === "file" ? `write ${does.path}`
        : `${does.argv.join(" ")}${does.input ? ` < ${(does.input.match(/<(target|driver).*?>/g) ?? []).join("")}` : ""}`);
}

const notes = (planned: Planned) => "plan" in planned ? (planned.plan.notes ?? []).map(inEnglish).join(" ") : "";

const described = "write /etc/kvm-tap/t0.tap", guarded = "write /etc/sysctl.d/60-kvm-tap-t0.conf";
const file = [described, guarded];
const enable = "systemctl enable --now kvm-tap@t0.service";
const redefine = "virsh -c qemu:///system update-device g /dev/stdin --config < <target dev='t0' managed='no'/>";
const ours = { enabled: ["t0"], files: { "/etc/kvm-tap/t0.tap": "tuntap add dev t0 mode tap\n" } };
const t0: Nic = { target: "t0" };

describe("planProtect", () => {
    test.each<[string, Host, string[], RegExp?]>([
        ["off, device there", { guests: [guest("g", [t0])], links: [tap("t0")] }, [...file, enable, redefine], /^$/],
        ["off, device missing", { guests: [guest("g", [t0])] }, [...file, enable, redefine]],
        ["running on a persistent device", { guests: [guest("g", [t0], [t0])], links: [tap("t0", { carrier: true })] }, [...file, enable, redefine],
            /libvirt takes t0 away then, and the hook makes it again/],
        ["running on libvirt's device", { guests: [guest("g", [t0], [t0])], links: [tap("t0", { persistent: false })] }, [...file, enable, redefine],
            /the hook makes it again/],
        ["running, hook not in effect", { guests: [guest("g", [t0], [t0])], links: [tap("t0")], hook: false }, [...file, enable, redefine],
            /hook that makes it again is not in effect/],
        ["our unit is there already", { guests: [guest("g", [t0])], links: [tap("t0")], ...ours }, [redefine]],
        ["our unit, device missing", { guests: [guest("g", [t0])], ...ours }, [guarded, "systemctl restart kvm-tap@t0.service", redefine]],
        ["our file, not enabled", { guests: [guest("g", [t0])], links: [tap("t0")], files: ours.files }, [guarded, enable, redefine]],
        ["managed='no', nothing at boot", { guests: [guest("g", [{ ...t0, managed: "no" }])], links: [tap("t0")] }, [...file, enable]],
        ["by systemd-networkd", {
            guests: [guest("g", [t0])], links: [tap("t0")], files: { "/etc/systemd/network/t.netdev": "[NetDev]\nName=t0\nKind=tap\n" },
        }, [redefine], /made at boot by networkd \(\/etc\/systemd\/network\/t.netdev\)/],
        ["systemd-networkd runs, and makes others", {
            guests: [guest("g", [t0])], links: [tap("t0")], files: { "/etc/systemd/network/t.netdev": "[NetDev]\nName=t1\nKind=tap\n" },
        }, ["write /etc/systemd/network/00-kvm-tap-t0.network", "networkctl reload", ...file, enable, redefine]],
        ["queues on a single-queue device", { guests: [guest("g", [{ ...t0, queues: 4 }])], links: [tap("t0")] }, [...file, enable, redefine], /gets one queue/],
        ["no queues on a multi-queue device", { guests: [guest("g", [t0])], links: [tap("t0", { multiQueue: true })] },
            [...file, enable, `${redefine}<driver queues='2'/>`], /gets two queues/],
        ["queues that fit", { guests: [guest("g", [{ ...t0, queues: 4 }])], links: [tap("t0", { multiQueue: true })] },
            [...file, enable, `${redefine}<driver queues='4'/>`], /^$/],
        ["saved state", { guests: [guest("g", [t0], undefined, true)], links: [tap("t0")] }, [...file, enable, redefine], /saved state/],
        ["managed='no', on libvirt's device", { guests: [guest("g", [{ ...t0, managed: "no" }], [t0])], links: [tap("t0", { persistent: false })] },
            [...file, enable], /the hook makes it again at once/],
        ["by ifupdown, missing", {
            guests: [guest("g", [t0])], files: { "/etc/network/interfaces": "auto t0\niface t0 inet manual\n pre-up ip tuntap add t0 mode tap\n" },
        }, [redefine], /made at boot by ifupdown .* missing now/],
        ["done already", { guests: [guest("g", [{ ...t0, managed: "no" }])], links: [tap("t0")], ...ours }, ["! This is protected already: there is nothing to do."]],
        ["no name", { guests: [guest("g", [{}])] }, ["! An interface of g names no device. Choose one in its definition first."]],
        ["bridge", { guests: [guest("g", [{ type: "bridge" }])] },
            ["! An interface of g is of type bridge: only ethernet interfaces can say managed='no'."]],
        ["no TAP", { guests: [guest("g", [t0])], links: [{ index: 1, name: "t0", mtu: 1500, up: true, carrier: true, kind: "bridge" }] },
            ["! t0 is no TAP device, so g cannot use it. Choose another device first."]],
        ["libvirt 5.7", { guests: [guest("g", [t0])], libvirt: { version: "5.7.0" } },
            ["! libvirt 5.7.0 ignores managed='no': devices can be protected from libvirt 5.8.0 on."]],
        ["libvirt 9.0.0 of upstream", { guests: [guest("g", [t0])], libvirt: { version: "9.0.0" } },
            ["! With libvirt 9.0.0 as released upstream, no guest starts with managed='no' on an existing device. Update libvirt first: 9.1.0 can."]],
        ["libvirt 9.0.0 of Debian", { guests: [guest("g", [t0])], links: [tap("t0")], libvirt: { version: "9.0.0", packageVersion: "9.0.0-4+deb12u2" } },
            [...file, enable, redefine]],
        ["gone meanwhile", { guests: [] }, ["! The guest or its interface does not exist any more."]],
    ])("%s", (_what, which, steps, says = /(?:)/) => {
        const planned = one(which);
        expect(inShort(planned)).toEqual(steps);
        expect(notes(planned)).toMatch(says);
    });

    test("the file describes the device as it runs", () => {
        const planned = one({ guests: [guest("g", [t0])], links: [tap("t0")] });
        const [step] = "plan" in planned ? planned.plan.steps : [];
        expect(step?.does).toEqual({
            type: "file", path: "/etc/kvm-tap/t0.tap",
            content: "tuntap add dev t0 mode tap\nlink set dev t0 address fe:54:00:00:00:01\nlink set dev t0 addrgenmode none\n"
                + "link set dev t0 up\naddress replace 169.254.0.1/32 dev t0\nroute replace 10.0.0.2/32 dev t0\n",
        });
        expect(step?.expects).toEqual({ type: "file", path: "/etc/kvm-tap/t0.tap", content: null });
        expect(step?.undo).toEqual({ type: "file", path: "/etc/kvm-tap/t0.tap", content: null });
    });

    test("undoing never deletes a device that was there before", () => {
        const undo = (links: Link[]) => {
            const planned = one({ guests: [guest("g", [t0])], links });
            return "plan" in planned ? planned.plan.steps.map(step => step.undo?.type === "command" ? step.undo.argv.join(" ") : "") : [];
        };
        expect(undo([tap("t0")])[2]).toBe("systemctl disable kvm-tap@t0.service");
        expect(undo([])[2]).toBe("systemctl disable --now kvm-tap@t0.service");
    });

    test("many interfaces of many guests: one plan, each device made once, each interface expected as it was read", () => {
        const guests = [guest("a", [t0, { target: "t1" }]), guest("b", [{ target: "t0" }])];
        const targets = [{ uuid: "a", index: 0 }, { uuid: "a", index: 1 }, { uuid: "b", index: 0 }];
        const planned = planProtect(host({ guests, links: [tap("t0"), tap("t1")] }), { targets });
        expect(inShort(planned).map(line => line.replace(/virsh.*update-device (.).*target dev='(..)'.*/, "$1 $2"))).toEqual([
            ...file, enable, "write /etc/kvm-tap/t1.tap", "write /etc/sysctl.d/60-kvm-tap-t1.conf", "systemctl enable --now kvm-tap@t1.service", "a t0", "a t1", "b t0",
        ]);
        const last = "plan" in planned ? planned.plan.steps.at(-1) : undefined;
        expect(last?.expects).toMatchObject({ type: "interface", uuid: "b", which: "configured", index: 0 });
    });

    test("holds when definition, unit, file and device are as promised", () => {
        const planned = one({ guests: [guest("g", [t0])], links: [tap("t0")] });
        const holds = (which: Host) => "plan" in planned && planned.plan.holds(host(which));
        const done = { guests: [guest("g", [{ ...t0, managed: "no" }])], links: [tap("t0")], ...ours };
        expect(holds(done)).toBe(true);
        expect(holds({ ...done, guests: [guest("g", [t0])] })).toBe(false);
        expect(holds({ ...done, links: [] })).toBe(false);
        expect(holds({ ...done, enabled: [] })).toBe(false);
    });

    test("those that cannot be protected are left out where that is wished, and named", () => {
        const guests = [guest("a", [t0]), guest("b", [{ type: "bridge" }])];
        const targets = [{ uuid: "a", index: 0 }, { uuid: "b", index: 0 }];
        const which = host({ guests, links: [tap("t0")] });
        const bridge = "! An interface of b is of type bridge: only ethernet interfaces can say managed='no'.";
        expect(inShort(planProtect(which, { targets }))).toEqual([bridge]);
        const planned = planProtect(which, { targets, leavesOut: true });
        expect(inShort(planned)).toHaveLength(4);
        expect(notes(planned)).toMatch(/interface of b is of type bridge/);
        expect(inShort(planProtect(which, { targets: targets.slice(1), leavesOut: true }))).toEqual([bridge]);
    });

    test.each<[string, Host, Partial<ProtectTarget>, string[]]>([
        ["a new device with the guest's address", { guests: [guest("g", [t0])] }, { device: "own", guestAddress: "10.0.0.9" },
            ["write /etc/kvm-tap/own.tap", "write /etc/sysctl.d/60-kvm-tap-own.conf", "systemctl enable --now kvm-tap@own.service", redefine.replace("'t0'", "'own'")]],
        ["one that is there", { guests: [guest("g", [{}])], links: [tap("vnet5")] }, { device: "vnet5" },
            ["write /etc/kvm-tap/vnet5.tap", "write /etc/sysctl.d/60-kvm-tap-vnet5.conf", "systemctl enable --now kvm-tap@vnet5.service", redefine.replace("'t0'", "'vnet5'")]],
        ["a reserved name", { guests: [guest("g", [t0])] }, { device: "vnet5" },
            ["! Names that begin with vnet belong to libvirt, which uses them for devices of its own. Choose another one."]],
        ["a name that another definition has", { guests: [guest("g", [t0]), guest("h", [{ target: "t1" }])] }, { device: "t1" },
            ["! The definition of h names t1 already. Enter another name."]],
        ["no name", { guests: [guest("g", [t0])] }, { device: "" }, ["! Enter the name of the device."]],
        ["no address", { guests: [guest("g", [t0])] }, { guestAddress: "10.0.0" },
            ["! Enter an IP address, for example 10.0.0.2 or 2001:db8::2."]],
    ])("another device: %s", (_what, which, more, steps) => {
        expect(inShort(one(which, more))).toEqual(steps);
    });

    test("a device made for libvirt's own belongs to root, and has no address of libvirt's", () => {
        const planned = one({ guests: [guest("g", [t0], [t0])], links: [tap("t0", { persistent: false })] });
        const [step] = "plan" in planned ? planned.plan.steps : [];
        expect(step?.does.type === "file" && step.does.content).toMatch(/^tuntap add dev t0 mode tap user root\nlink set dev t0 addrgenmode none\n/);
    });
});

describe("protectionOf", () => {
    const netdev = { "/etc/systemd/network/t.netdev": "[NetDev]\nName=t0\nKind=tap\n" };
    const no: Nic = { ...t0, managed: "no" };
    test.each<[string, Host, string]>([
        ["at risk", { guests: [guest("g", [t0])], links: [tap("t0")] }, "needed"],
        ["libvirt's own", { guests: [guest("g", [t0])] }, "possible"],
        ["protected", { guests: [guest("g", [no])], links: [tap("t0")], ...ours }, "no"],
        ["protected, missing, ours", { guests: [guest("g", [no])], ...ours }, "needed"],
        ["missing, nobody makes it", { guests: [guest("g", [no])] }, "needed"],
        ["missing, somebody else's", { guests: [guest("g", [no])], files: netdev }, "no"],
        ["made by hand: gone after the next boot", { guests: [guest("g", [no])], links: [tap("t0")] }, "possible"],
        ["runs on libvirt's own, and wants one", { guests: [guest("g", [no], [t0])], links: [tap("t0", { persistent: false, carrier: true })] }, "needed"],
        ["the same, once it is written down", { guests: [guest("g", [no], [t0])], links: [tap("t0", { persistent: false, carrier: true })], ...ours }, "no"],
        ["a bridge", { guests: [guest("g", [{ type: "bridge" }])] }, "no"],
    ])("%s", (_what, which, expected) => {
        const snapshot = host(which);
        const facts = hostFacts(snapshot);
        expect(facts && subjects(facts).map(subject => protectionOf(snapshot, subject))).toEqual([expected]);
    });
});

describe("planUnprotect", () => {
    const done = { guests: [guest("g", [{ ...t0, managed: "no" }])], links: [tap("t0")], ...ours };
    const bare = "virsh -c qemu:///system update-device g /dev/stdin --config < <target dev='t0'/>";

    test.each<[string, Host, DeviceAfter, string[]]>([
        ["takes managed='no' out", done, "stays", [bare]],
        ["and forgets the device", done, "until-boot", [bare, "systemctl disable kvm-tap@t0.service", described]],
        ["and deletes it", done, "deleted", [bare, "systemctl disable --now kvm-tap@t0.service", described]],
        ["not while a guest runs on it", { ...done, guests: [guest("g", [{ ...t0, managed: "no" }], [{ ...t0, managed: "no" }])] }, "deleted",
            ["! g runs on t0. Shut the guest down, or unplug the interface first."]],
        ["not where it is not", { ...done, guests: [guest("g", [t0])] }, "stays", ["! The definition does not say managed='no': there is nothing to take back."]],
    ])("%s", (_what, which, device, steps) => {
        expect(inShort(planUnprotect(host(which), { uuid: "g", index: 0, device }))).toEqual(steps);
    });

    test.each<[DeviceAfter, RegExp]>([["stays", /the failed start deletes the device/], ["deleted", /^libvirt makes a device of its own, which goes when the guest stops/]])(
        "%s: says what libvirt does from then on", (device, says) => {
            expect(notes(planUnprotect(host(done), { uuid: "g", index: 0, device }))).toMatch(says);
        });
});

test.each(["addresses", "routes", "files"] as const)("a device is not written down as it runs while %s are not known", part => {
    const at = host({ guests: [guest("g", [{ target: "t0" }])], links: [tap("t0")] });
    const says = { id: "They cannot be read." };
    expect(planProtect({ ...at, [part]: { state: "failed", says, words: "" } }, { targets: [{ uuid: "g", index: 0 }] })).toEqual({ problems: [{ says }] });
});

test("a missing device whose file somebody wrote is judged by all of its lines", () => {
    const file = (line: string) => ({ "/etc/kvm-tap/t1.tap": `tuntap add dev t1 mode tap user root\n${line}\n` });
    const at = (line: string): Host => ({ guests: [guest("g", [{ target: "t1" }])], files: file(line) });
    expect(JSON.stringify(one(at("route replace default dev t1 proto static")))).toContain("is everything");
    expect(JSON.stringify(one(at("link set dev eth0 down")))).toContain("link set dev eth0 down");
});

test("a device that is deleted with its protection is looked at again before it goes", () => {
    const planned = planUnprotect(host({ guests: [guest("g", [{ target: "t0", managed: "no" }])], links: [tap("t0")] }), { uuid: "g", index: 0, device: "deleted" });
    expect("plan" in planned && planned.plan.touches).toMatchObject({ interrupts: [{ device: "t0" }], had: [{ name: "t0" }] });
});
