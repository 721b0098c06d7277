// SPDX-License-Identifier: LGPL-2.1-or-later
// Devices with names that a file, a unit, a pattern or a command would take for something else: shown, and never touched.
import { planCure } from "../../../src/actions/cure.ts";
import { leftoverPlan, planDeleteTap } from "../../../src/actions/delete-tap.ts";
import {
    planAdopt, planApplyFile, planAtBoot, planBringBack, planEditTap, planKeepOff, planSettings, planSetUp, planTakeOver,
} from "../../../src/actions/edit-tap.ts";
import { planDeleteWith, planGive, planOwnDevice } from "../../../src/actions/hand-over-tap.ts";
import { planMakeSeries, planMakeTap, type TapWish } from "../../../src/actions/make-tap.ts";
import { planNatSettings } from "../../../src/actions/map-address.ts";
import { withUplinks } from "../../../src/actions/nat-ways.ts";
import { packetTestProblems } from "../../../src/actions/packet-test.ts";
import { planProtect } from "../../../src/actions/protect.ts";
import { planUnprotect } from "../../../src/actions/unprotect.ts";
import { bootProvider } from "../../../src/model/boot-provider.ts";
import { guestOf, pairInterfaces } from "../../../src/model/guest.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import { isSafeName } from "../../../src/model/names.ts";
import { EMPTY_STATE } from "../../../src/model/nat.ts";
import { networkdPath } from "../../../src/model/networkd-file.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Reading, type Snapshot } from "../../../src/model/snapshot.ts";
import { sysctlFilePath } from "../../../src/model/sysctl-file.ts";
import { tapFilePath } from "../../../src/model/tap-file.ts";
import { NEW_TAP, textProblems } from "../../../src/model/tap-text.ts";
import { newDeviceProblem } from "../../../src/model/validate.ts";
import { unitOf } from "../../../src/actions/tap-steps.ts";
import { tapRows } from "../../../src/pages/taps/rows.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

/** A host where everything there is of a device has this name: in the kernel, in a definition, in files, units and settings. */
function host(name: string, managed = ""): Snapshot {
    const xml = `<domain type='kvm'><devices><interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='${
        name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/'/g, "&apos;")}'${managed}/><address type='pci' slot='1'/></interface></devices></domain>`;
    const files: [string, string][] = [
        [`/etc/kvm-tap/${name}.tap`, `tuntap add dev ${name} mode tap\nlink set dev ${name} mtu 1400\n`],
        [`/etc/sysctl.d/60-kvm-tap-${name}.conf`, `net/ipv4/conf/${name}/rp_filter = 1\n`],
        [`/etc/systemd/network/00-kvm-tap-${name}.network`, ""],
    ];
    return {
        ...NOTHING_READ,
        libvirt: read({ version: "11.3.0", driver: "QEMU" }), hook: read({ installed: true, inEffect: true }),
        guests: read([guestOf({ uuid: "g", name: "g", state: "off", persistent: true, autostart: false, managedSave: false, configured: xml })]),
        links: read([{
            index: 5, name, mtu: 1500, up: true, carrier: false, kind: "tun", mac: "fe:54:00:00:00:01", addrGenMode: "none",
            tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true },
        }]),
        needs: read(NOTHING_NEEDED), addresses: read(new Map()), routes: read([]), rules: read([]), 
    profiles: read(new Map()), networkd: read(new Map([[5, "/etc/all.network"]])),
        natTable: read(null), units: read(new Map([[name, { name, enabled: true, active: "active" }]])),
        enabled: read(new Set([`kvm-tap@${name}.service`])),
        services: read(new Map([["systemd-networkd.service", "active"]])),
        files: read(new Map(files.map(([path, content]) => [path, { path, content }]))),
    };
}

const wish = (name: string): TapWish => ({
    name, gateways: ["169.254.0.1"], guestAddresses: [], sysctls: new Map(), atBoot: true,
});

function planners(snapshot: Snapshot, name: string): [string, Planned][] {
    const [guest] = snapshot.guests.state === "read" ? snapshot.guests.value : [];
    const [opened] = guest ? pairInterfaces(guest) : [];
    if (!opened)
        throw new Error("no interface");
    return [
        ["make", planMakeTap({ ...snapshot, links: read([]), files: read(new Map()) }, wish(name))],
        // "all1" is a fine name.
        ...isSafeName(`${name}1`) ? [] : [
            ["series", planMakeSeries(snapshot, wish(name), { prefix: name, first: 1, count: 2 })] as [string, Planned],
            ["protect on a new one", planProtect(snapshot, { targets: [{ uuid: "g", index: 0, device: `${name}1` }] })] as [string, Planned],
        ],
        ["edit", planEditTap(snapshot, { ...wish(name), mtu: 1450 })], ["at boot", planAtBoot(snapshot, name, false)],
        ["set down", planSetUp(snapshot, name, false)], ["settings", planSettings(snapshot, name, msg("x"), () => ({ mtu: 1450 }))],
        ["bring back", planBringBack({ ...snapshot, links: read([]) }, name)],
        ["adopt", planAdopt({ ...snapshot, files: read(new Map()) }, name)], ["take over", planTakeOver(snapshot, name)],
        ["apply", planApplyFile(snapshot, name)], ["keep off", planKeepOff({ ...snapshot, files: read(new Map()) }, name)],
        ["delete", planDeleteTap(snapshot, name)],
        ["delete another's", planDeleteTap({ ...snapshot, files: read(new Map()), enabled: read(new Set()) }, name)],
        ["delete with", planDeleteWith(snapshot, [name], { interfaces: true, mappings: true })],
        ["left over", leftoverPlan({ ...snapshot, links: read([]), enabled: read(new Set()),
            files: read(new Map([[`/etc/sysctl.d/60-kvm-tap-${name}.conf`, { path: "", content: "x = 1" }]])) }, name) ?? { problems: [] }],
        ["give", planGive(snapshot, name, { uuid: "g", mac: "52:54:00:00:00:02" })],
        ["own device", planOwnDevice(snapshot, name, { uuid: "g", opened, name, guestAddresses: "" })],
        ["protect", planProtect(snapshot, { targets: [{ uuid: "g", index: 0 }] })],
        ["cure", planCure(snapshot, { type: "set-up", device: name })], ["cure of an owner", planCure(snapshot, { type: "own", device: name })],
        ["uplinks", planNatSettings(snapshot, { uplinks: [name] })],
    ];
}

/** The second and the third are the cases of a tenant's definition and of nft's quotes. */
const NAMES = ["en*", `a"}#`, "x(", "*", "eth?", "[e]th0", "!lo", "größe", "a#b", "a%i", "a;b", "all", "..", "abcdefghijklmnopq"];

describe.each(NAMES)("%s", name => {
    const snapshot = host(name);

    test.each(planners(snapshot, name))("%s: refused, with a sentence", (_title, planned) => {
        expect("plan" in planned ? planned.plan.steps.map(({ does }) => does) : []).toEqual([]);
        if ("problems" in planned)
            expect(planned.problems.map(({ says }) => inEnglish(says)).every(says => says.length > 10)).toBe(true);
    });

    test("taking the protection off changes the definition, and nothing of the device", () => {
        for (const device of ["stays", "until-boot", "deleted"] as const) {
            const planned = planUnprotect(host(name, " managed='no'"), { uuid: "g", index: 0, device });
            const steps = "plan" in planned ? planned.plan.steps.map(({ does }) => does) : [];
            expect(steps.length).toBe(device === "deleted" ? 0 : 1);
            expect(steps.filter(does => does.type === "file" || !does.argv.includes("update-device"))).toEqual([]);
        }
    });

    test("it has neither path nor unit, and is shown", () => {
        expect([tapFilePath(name), sysctlFilePath(name), networkdPath(name), unitOf(name)]).toEqual(["", "", "", ""]);
        expect(bootProvider(snapshot, name).by).toBe("nothing");
        const rows = tapRows(snapshot);
        expect(rows.state === "read" && rows.value.find(row => row.name === name)).toMatchObject({ there: true, warnings: expect.arrayContaining(["odd-name"]) });
    });

    test("the form says so and does not throw", () => {
        expect(newDeviceProblem(name, snapshot)).toBeDefined();
        expect(() => textProblems({ ...NEW_TAP, name })).not.toThrow();
    });

    test("no uplink, for NAT or for a packet test", () => {
        expect(withUplinks(snapshot, EMPTY_STATE, [name])).toHaveProperty("problems");
        const prefix = (address: string) => ({ family: 4 as const, address, length: 32 });
        expect(packetTestProblems(snapshot, {
            public: prefix("203.0.113.10"), guest: prefix("10.0.0.2"), description: "", enabled: true, claimed: true, log: false,
        }, { kind: "ping", from: "192.0.2.1", port: "", uplink: name }).map(({ says }) => inEnglish(says)).join()).toContain(name);
    });
});
