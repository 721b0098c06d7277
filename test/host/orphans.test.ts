// SPDX-License-Identifier: LGPL-2.1-or-later
// What guests leave behind when they are renamed, cloned and undefined: devices, files, mappings, two definitions on one device. Found, and
// cleared or moved to another guest by a plan.
import { findOrphans } from "../../src/actions/delete-tap.ts";
import { namedBy, planDeleteWith, planGive, planOwnDevice } from "../../src/actions/hand-over-tap.ts";
import { planMakeTap } from "../../src/actions/make-tap.ts";
import { planMapAddress, planRemoveMappings } from "../../src/actions/map-address.ts";
import { isEnabled, runningSettings } from "../../src/actions/tap-steps.ts";
import { pairInterfaces } from "../../src/model/guest.ts";
import { inEnglish } from "../../src/model/message.ts";
import { currentState, natReading } from "../../src/model/nat-reading.ts";
import { mappingKey } from "../../src/model/nat.ts";
import { findings } from "../../src/model/nat-works.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { defaultSysctls } from "../../src/model/sysctl-file.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { given, watching, type Watching } from "./watching.ts";

const device = "charon_pvnet1", publicAddress = "203.0.113.50";
const done = { state: "done", holds: true };

await eachRelease(release => {
    // Nothing here depends on the release but libvirt's and nft's words, which other tests have on all of them.
    if (release !== "bookworm" && !everything)
        return;
    let host: TestHost;
    let seen: Watching;
    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        seen = await watching(host);
        await defineGuest(host, { name: "charon", interfaces: [ethernet(device, { mac: "52:54:00:25:6f:3f", managed: "no" })] });
        await known("charon");
        expect(await make(device, "10.0.0.2")).toMatchObject(done);
        expect(await seen.run(now => planMapAddress(now, { public: publicAddress, guest: "10.0.0.2", description: "charon" }))).toMatchObject(done);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    const known = (name: string) => seen.until(name, now => given(now.guests).some(guest => guest.name === name && guest.configured));
    const gone = (name: string) => seen.until(`${name} gone`, now => given(now.guests).every(guest => guest.name !== name));
    const guest = (name: string) => {
        const found = given(seen.snapshot().guests).find(each => each.name === name);
        const [pair] = found ? pairInterfaces(found) : [];
        if (!found || !pair)
            throw new Error(`no ${name} with an interface`);
        return { uuid: found.uuid, opened: pair };
    };
    const targets = async (name: string) =>
        [...(await host.run(["virsh", "dumpxml", "--inactive", name])).matchAll(/<target (dev='[^']*'[^/]*)\/>/g)].map(match => match[1]);
    const make = (name: string, address: string) => seen.run(now => planMakeTap(now, {
        name, gateways: ["169.254.0.1"], guestAddresses: [address], sysctls: defaultSysctls(name, false), atBoot: true,
    }));
    const orphans = (now: Snapshot) => findOrphans(now).map(orphan => `${orphan.kind} ${orphan.device}`);
    const nat = () => {
        const reading = natReading(seen.snapshot());
        if (reading.state !== "read")
            throw new Error("NAT is not read");
        return { reading: reading.value, state: currentState(reading.value) };
    };

    test("a guest that is renamed leaves nothing behind: its device is shown as its own", async () => {
        await host.run(["virsh", "domrename", "charon", "charon2"]);
        await known("charon2");
        await gone("charon");
        expect(orphans(seen.snapshot())).toEqual([]);
        expect(namedBy(seen.snapshot(), device)).toMatchObject({ interfaces: [{ guest: { name: "charon2" } }], mappings: [publicAddress], inNat: true });
        await host.run(["virsh", "domrename", "charon2", "charon"]);
        await known("charon");
    });

    test("two definitions on one device are found; the clone gets a device of its own, alike, and the other keeps its", async () => {
        await defineGuest(host, { name: "clone", interfaces: [ethernet(device, { mac: "52:54:00:00:00:02", managed: "no" })] });
        await seen.until("the orphan", now => orphans(now).includes(`shared ${device}`));
        const before = await host.run(["virsh", "dumpxml", "--inactive", "charon"]);
        expect(await seen.run(now => planOwnDevice(now, device, { ...guest("clone"), name: "clone0", guestAddresses: "10.0.0.3" }))).toMatchObject(done);
        expect(orphans(seen.snapshot())).toEqual([]);
        expect(await targets("clone")).toEqual(["dev='clone0' managed='no'"]);
        expect(await host.run(["virsh", "dumpxml", "--inactive", "charon"])).toBe(before);
        expect(runningSettings(seen.snapshot(), "clone0")).toMatchObject({ addresses: ["169.254.0.1/32"], routes: [{ destination: "10.0.0.3/32" }] });
        expect(isEnabled(seen.snapshot(), "clone0")).toBe(true);
        expect((await host.run(["cat", "/proc/sys/net/ipv4/conf/clone0/rp_filter"])).trim()).toBe("1");
    });

    test("the device of a guest that is undefined goes to another one, with its address and mapping", async () => {
        await host.run(["virsh", "undefine", "charon"]);
        await seen.until("the orphan", now => orphans(now).includes(`unused ${device}`));
        await defineGuest(host, { name: "styx", interfaces: [ethernet("lost0", { mac: "52:54:00:00:00:03" })], memory: 32 });
        await known("styx");
        const xml = await host.run(["virsh", "dumpxml", "--inactive", "styx"]);
        expect(await seen.run(now => planGive(now, device, guest("styx")))).toMatchObject(done);
        expect(await host.run(["virsh", "dumpxml", "--inactive", "styx"])).toBe(xml.replace("<target dev='lost0'/>", `<target dev='${device}' managed='no'/>`));
        expect(orphans(seen.snapshot())).toEqual([]);
        await host.run(["virsh", "start", "styx"]);
        await seen.until("the guest on it", now => given(now.links).some(link => link.name === device && link.carrier));
        expect(nat().state.mappings.map(mappingKey)).toEqual([publicAddress]);
        await host.run(["virsh", "destroy", "styx"]);
        await seen.until("the guest off", now => given(now.links).some(link => link.name === device && !link.carrier));
    });

    test("given to a guest that has no interface for it, it gets a new one", async () => {
        await host.run(["virsh", "undefine", "styx"]);
        await gone("styx");
        expect(await seen.run(now => planGive(now, device, { uuid: guest("clone").uuid, mac: "52:54:00:00:00:04" }))).toMatchObject(done);
        expect(await targets("clone")).toEqual(["dev='clone0' managed='no'", `dev='${device}' managed='no'`]);
    });

    test("deleted alone, a device leaves definition and mapping, which is said; the mapping left alone is found and cleared", async () => {
        const planned = planDeleteWith(seen.snapshot(), [device], {});
        expect("plan" in planned && planned.plan.notes?.map(inEnglish).join()).toMatch(/definition of clone goes on naming charon_pvnet1/);
        expect(await seen.run(() => planned)).toMatchObject(done);
        expect(await targets("clone")).toHaveLength(2);
        const [left] = nat().state.mappings;
        if (!left)
            throw new Error("no mapping");
        expect(findings(seen.snapshot(), nat().reading, left).map(({ says }) => inEnglish(says))).toContain("No device of this host has a route to 10.0.0.2.");
        expect(await seen.run(now => planRemoveMappings(now, [publicAddress]))).toMatchObject(done);
        expect(await host.machine.read("/etc/kvm-tap/nat.nft")).toBeNull();
    });

    test("deleted with all that names it, in one plan: definitions, mappings, NAT's list, units, files; other mappings stay", async () => {
        expect(await make(device, "10.0.0.2")).toMatchObject(done);
        for (const [address, inside] of [[publicAddress, "10.0.0.2"], ["203.0.113.51", "10.0.0.3"]] as const)
            expect(await seen.run(now => planMapAddress(now, { public: address, guest: inside, description: "" }))).toMatchObject(done);
        expect(nat().state.devices.map(({ name }) => name)).toEqual([device, "clone0"]);
        expect(await seen.run(now => planDeleteWith(now, [device], { interfaces: true, mappings: true }))).toMatchObject(done);
        expect(await targets("clone")).toEqual(["dev='clone0' managed='no'"]);
        expect(nat().state.mappings.map(mappingKey)).toEqual(["203.0.113.51"]);
        expect(nat().state.devices.map(({ name }) => name)).toEqual(["clone0"]);
        expect((await host.sh("ls /etc/kvm-tap /etc/sysctl.d | grep charon || true")).trim()).toBe("");
    });

    test("a step that fails puts definition and mapping back", async () => {
        const before = [await host.run(["virsh", "dumpxml", "--inactive", "clone"]), await host.sh("nft -s list table inet kvm_tap; ip -br link show clone0; ls /etc/kvm-tap")];
        const planned = planDeleteWith(seen.snapshot(), ["clone0"], { interfaces: true, mappings: true });
        // Removing the file fails, right before the change of NAT.
        await host.sh("echo '# mine' >> /etc/kvm-tap/clone0.tap");
        expect(await seen.run(() => planned)).toMatchObject({ state: "failed", left: [] });
        await host.sh("sed -i '/# mine/d' /etc/kvm-tap/clone0.tap");
        const comparable = (xml: string) => xml.replace(/\s*<address type='pci'[^>]*>/g, "");
        const after = [await host.run(["virsh", "dumpxml", "--inactive", "clone"]), await host.sh("nft -s list table inet kvm_tap; ip -br link show clone0; ls /etc/kvm-tap")];
        expect(comparable(after[0] ?? "")).toBe(comparable(before[0] ?? ""));
        expect(after[1]?.replace(/clone0 .*/, "")).toBe(before[1]?.replace(/clone0 .*/, ""));
    });
});
