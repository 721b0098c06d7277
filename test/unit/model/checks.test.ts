// SPDX-License-Identifier: LGPL-2.1-or-later
import { describe, expect, test } from "@jest/globals";
import { planCure, type Choice } from "../../../src/actions/cure.ts";
import { interfaceChecks } from "../../../src/model/checks.ts";
import { guestOf } from "../../../src/model/guest.ts";
import type { Guest } from "../../../src/model/guest.ts";
import { inEnglish } from "../../../src/model/message.ts";
import { NOTHING_READ } from "../../../src/model/snapshot.ts";
import type { Reading, Snapshot } from "../../../src/model/snapshot.ts";
import type { Link } from "../../../src/model/tap.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

const tap = (name: string, more: Partial<Link> = {}, multiQueue = false): Link => ({
    index: 5, name, mtu: 1500, up: true, carrier: false, kind: "tun", ...more,
    tun: { type: "tap", persistent: true, multiQueue, vnetHdr: true, owner: "root" },
});

let macs = 0;
const nic = (target: string, inside = "", managed = "no", mac = `52:54:00:00:01:${(++macs).toString(16).padStart(2, "0")}`) =>
    `<interface type='ethernet'><mac address='${mac}'/>${target ? `<target dev='${target}'${managed ? ` managed='${managed}'` : ""}/>` : ""}${inside}</interface>`;

const guest = (name: string, configured: string[], live?: string[], managedSave = false): Guest => {
    const domain = (nics: string[]) => `<domain type='kvm'><devices>${nics.join("")}</devices></domain>`;
    return guestOf({
        uuid: name, name, state: live ? "running" : "off", persistent: true, autostart: false, managedSave,
        configured: domain(configured), ...live && { live: domain(live) },
    });
};

/** Devices are made at boot by our units, or by hand. */
const host = (guests: Guest[], links: Link[], byHand = false): Snapshot => ({
    ...NOTHING_READ, libvirt: read({ version: "11.3.0", driver: "QEMU" }), guests: read(guests), links: read(links),
    units: read(new Map(byHand ? [] : links.map(({ name }) => [name, { name, enabled: true, active: "active" }]))),
    files: read(new Map(byHand ? [] : links.map(({ name }) => [`/etc/kvm-tap/${name}.tap`, { path: `/etc/kvm-tap/${name}.tap`, content: `tuntap add dev ${name} mode tap\n` }]))),
    enabled: read(new Set(byHand ? [] : links.map(({ name }) => `kvm-tap@${name}.service`))), profiles: read(new Map()),
    needs: read(NOTHING_NEEDED), addresses: read(new Map()), routes: read([]),
    services: read(new Map([["libvirtd.service", "active"]])), hook: read({ installed: true, inEffect: true }),
});

const same = "52:54:00:aa:aa:aa";
const sourceIp = "<source><ip address='10.9.8.1' prefix='24'/></source>";

describe("interfaceChecks", () => {
    test.each<[string, Guest[], Link[], string[]]>([
        ["nothing is the matter", [guest("g", [nic("t0")])], [tap("t0")], []],
        ["no name", [guest("g", [nic("")])], [], ["name-dropped info: g names no device, so libvirt makes one with a name of its own each time."]],
        ["a name that libvirt dropped", [guest("g", [nic("")])], [tap("vnet5")],
            ["name-dropped warning: g names no device, and nobody uses vnet5: libvirt drops names that begin with vnet, macvtap or macvlan."]],
        ["a long name", [guest("g", [nic("sixteen-bytes-xx")])], [],
            ["name-too-long danger: “sixteen-bytes-xx” is longer than the 15 bytes that the kernel allows: the guest cannot start."]],
        ["the same device on two guests", [guest("a", [nic("t0")]), guest("b", [nic("t0")])], [tap("t0")],
            ["same-device warning: a and b both name t0: only one of them can run.", "same-device warning: b and a both name t0: only one of them can run."]],
        ["the same device twice in one", [guest("a", [nic("t0"), nic("t0")])], [tap("t0")],
            ["same-device warning: Two interfaces of a name t0: the guest cannot start.", "same-device warning: Two interfaces of a name t0: the guest cannot start."]],
        ["the same multi-queue device",
            [guest("a", [nic("t0", "<driver queues='2'/>")]), guest("b", [nic("t0", "<driver queues='4'/>")])], [tap("t0", {}, true)], [
                "shared-queues danger: a and b both name t0, which is multi-queue: libvirt lets both run, and each gets only a part of the packets.",
                "shared-queues danger: b and a both name t0, which is multi-queue: libvirt lets both run, and each gets only a part of the packets.",
            ]],
        ["the same MAC address", [guest("a", [nic("t0", "", "no", same), nic("t1", "", "no", same)])], [tap("t0"), tap("t1")], [
            `same-mac warning: Two interfaces of a have the MAC address ${same}.`, `same-mac warning: Two interfaces of a have the MAC address ${same}.`,
        ]],
        ["<source><ip>", [guest("g", [nic("t0", sourceIp)])], [tap("t0")],
            ["host-addresses danger: The definition puts 10.9.8.1 on the device at every start. They stay there, so the second start fails, and so does resuming."]],
        ["<source><ip> on libvirt's own device", [guest("g", [nic("t0", sourceIp, "")])], [],
            ["host-addresses warning: The definition puts 10.9.8.1 on the device at every start: resuming the guest after a pause fails."]],
        ["a needless script", [guest("g", [nic("t0", "<script path='/bin/true'/>")])], [tap("t0")],
            ["needless-script info: The script /bin/true does nothing, but marks the guest as tainted."]],
        ["a script that does something", [guest("g", [nic("t0", "<script path='/etc/up'/>")])], [tap("t0")], []],
        ["a device that is down", [guest("g", [nic("t0")])], [tap("t0", { up: false })],
            ["device-down warning: t0 is down, and with managed='no' libvirt does not set it up: g has no network."]],
        ["down, but libvirt sets it up", [guest("g", [nic("t0", "", "")])], [tap("t0", { up: false })], []],
        ["managed on a bridge", [guest("g", ["<interface type='bridge'><target dev='x' managed='no'/></interface>"])], [],
            ["managed-refused danger: managed='no' on an interface of type bridge: libvirt refuses such a definition."]],
        ["no owner", [guest("g", [nic("t0")])], [{ ...tap("t0"), tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true } }],
            ["open-device info: t0 has no owner: while no guest runs on it, every user of this host may open it, send through it, and delete it."]],
        ["another MTU", [guest("g", [nic("t0", "<mtu size='1400'/>")])], [tap("t0")],
            ["mtu-differs warning: g is told an MTU of 1400, but t0 has 1500: libvirt does not change it with managed='no'."]],
        ["disarmed, but the hook brings it back", [guest("g", [nic("t0", "", "no", same)], [nic("t0", "", "", same)])], [tap("t0", { carrier: true })], []],
        ["disarmed", [guest("g", [nic("t0", "", "", same)], [nic("t0", "", "", same)])], [tap("t0", { carrier: true })], [
            "disarmed danger: g runs on the persistent device t0 without managed='no': a change of the running guest took it away, or an older libvirt started it.",
        ]],
        ["saved", [guest("g", [nic("t0")], undefined, true)], [tap("t0")],
            ["old-saved-state warning: g has a saved state. It carries the definition that was in effect then, and that is what starts next."]],
    ])("%s", (_what, guests, links, expected) => {
        const found = interfaceChecks(host(guests, links));
        expect(found.map(({ id, severity, says }) => `${id} ${severity}: ${inEnglish(says)}`)).toEqual(expected);
        for (const { advice } of found)
            expect(inEnglish(advice)).toMatch(/^.+\.$/);
    });

    const nothingChosen: Choice = { device: "", guestAddress: "" };

    /** The first finding's cure, a line a step. */
    const cured = (guests: Guest[], links: Link[], byHand = false, choice = nothingChosen) => {
        const snapshot = host(guests, links, byHand);
        const [check] = interfaceChecks(snapshot);
        const planned = check?.cure && planCure(snapshot, check.cure, choice);
        return planned && "plan" in planned
            ? planned.plan.steps.map(({ does }) => does.type === "file" ? `${does.path}: ${does.content?.replace(/\n/g, "; ") ?? "-"}`
                : `${does.argv.slice(-4).join(" ")} ${does.input ?? ""}`.trim())
            : planned?.problems.map(({ field, says }) => `! ${field ?? ""} ${inEnglish(says)}`);
    };
    const plain = [guest("a", [nic("t0", "", "no", same)])];

    test.each<[string, Guest[], Link[], (string | RegExp)[], Choice?]>([
        ["<source><ip> goes from the definition to the device", [guest("g", [nic("t0", sourceIp, "no", same)])], [tap("t0")], [
            /t0.tap: tuntap add dev t0 mode tap; address replace 10.9.8.1\/24 dev t0; $/, /-batch - address replace 10.9.8.1\/24 dev t0$/,
            `update-device g /dev/stdin --config ${nic("t0", "", "no", same)}`,
        ]],
        ["the script goes", [guest("g", [nic("t0", "<script path='/bin/true'/>", "no", same)])], [tap("t0")],
            [`update-device g /dev/stdin --config ${nic("t0", "", "no", same)}`]],
        ["the device is set up", plain, [tap("t0", { up: false })], [/t0.tap: .*link set dev t0 up/, /-batch - link set dev t0 up/]],
        ["the device gets the MTU", [guest("g", [nic("t0", "<mtu size='1400'/>")])], [tap("t0")],
            [/t0.tap: .*link set dev t0 mtu 1400/, /-batch - link set dev t0 mtu 1400/]],
        ["a name that libvirt drops is kept with managed='no'", [guest("g", [nic("", "", "", same)])], [tap("vnet5")],
            [/update-device g .*<target dev='vnet5' managed='no'\/>/]],
        ["the device is made with an owner", plain, [{ ...tap("t0"), tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true } }],
            ["systemctl stop kvm-tap@t0.service", /t0.tap: tuntap add dev t0 mode tap user root;/, /60-kvm-tap-t0.conf: .*accept_ra = 0/, "systemctl start kvm-tap@t0.service"]],
        ["too long a name: a device of its own", [guest("g", [nic("sixteen-bytes-xx")])], [],
            [/g0.tap: .*route replace 10.0.0.7\/32 dev g0/, /60-kvm-tap-g0.conf: /, "systemctl enable --now kvm-tap@g0.service", /<target dev='g0' managed='no'\/>/],
            { device: "g0", guestAddress: "10.0.0.7" }],
        ["a shared device: one of its own", [guest("a", [nic("t0")]), guest("b", [nic("t0")])], [tap("t0")],
            [/a0.tap: /, /60-kvm-tap-a0.conf: /, "systemctl enable --now kvm-tap@a0.service", /update-device a .*<target dev='a0' managed='no'\/>/],
            { device: "a0", guestAddress: "" }],
        ["the name of a new device that is there already", [guest("a", [nic("t0")]), guest("b", [nic("t0")])], [tap("t0")],
            ["! device The definition of a names t0 already. Enter another name."], { device: "t0", guestAddress: "" }],
        ["a MAC address of its own", [guest("a", [nic("t0", "", "no", same)]), guest("b", [nic("t1", "", "no", same)])], [tap("t0"), tap("t1")],
            [/detach-device a/, /attach-device a .*<mac address='52:54:00:(?!aa:aa:aa)/]],
        ["disarmed", [guest("g", [nic("t0", "", "", same)], [nic("t0", "", "", same)])], [tap("t0", { carrier: true })],
            [/update-device g .*managed='no'/]],
    ])("cure: %s", (_what, guests, links, expected, choice = nothingChosen) => {
        const steps = cured(guests, links, false, choice);
        expect(steps).toHaveLength(expected.length);
        expected.forEach((step, index) => expect(steps?.[index]).toEqual(typeof step === "string" ? step : expect.stringMatching(step)));
    });

    test("cure: a device made by hand is written down", () => {
        expect(interfaceChecks(host(plain, [tap("t0")], true)).map(({ id, severity }) => `${id} ${severity}`)).toEqual(["lost-at-boot warning"]);
        expect(cured(plain, [tap("t0")], true)).toEqual([
            expect.stringMatching(/^\/etc\/kvm-tap\/t0.tap: /), expect.stringMatching(/60-kvm-tap-t0.conf: .*rp_filter = 1/),
            "systemctl enable --now kvm-tap@t0.service",
        ]);
    });

    test("cure: refused when the interface has changed since", () => {
        const [check] = interfaceChecks(host([guest("g", [nic("t0", "<script path='/bin/true'/>", "no", same)])], [tap("t0")]));
        const now = host([guest("g", [nic("t1", "<script path='/bin/true'/>", "no", same)])], [tap("t0")]);
        expect(check?.cure && planCure(now, check.cure)).toEqual({ problems: [{ says: { id: "The interface was changed by somebody else meanwhile." } }] });
    });
});
