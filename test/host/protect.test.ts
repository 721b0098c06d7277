// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect on real hosts, as the page does it: read, planned, run, read again – and then the guest is stopped.
import { planProtect, planUnprotect, unprotectedTargets } from "../../src/actions/protect.ts";
import { executor } from "../../src/host/execute.ts";
import { watchHost, type HostWatch } from "../../src/host/watch.ts";
import type { Executed } from "../../src/model/executed.ts";
import { devicesAtRisk, glance, hostFacts, subjects } from "../../src/model/glance.ts";
import { inEnglish } from "../../src/model/message.ts";
import type { Plan, Planned } from "../../src/model/plan.ts";
import { NOTHING_READ, valueOf, type Snapshot } from "../../src/model/snapshot.ts";
import { until } from "../lab/exec.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { hostFiles } from "./host-files.ts";

await eachRelease(release => {
    let host: TestHost;
    let watch: HostWatch;
    let snapshot: Snapshot = NOTHING_READ;

    const watchIt = () => {
        snapshot = NOTHING_READ;
        watch = watchHost(host.machine, next => { snapshot = next; });
    };

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        watchIt();
    });

    afterAll(async () => {
        watch.close();
        await host.stop();
    });

    const parts = ["libvirt", "guests", "links", "addresses", "routes", "units", "enabled", "files", "profiles", "hook"] as const;

    /** The host as the page reads it, once it shows what is wished. */
    async function readUntil(what: string, wished: (now: Snapshot) => boolean): Promise<Snapshot> {
        await until(what, () => parts.every(part => snapshot[part].state === "read") && wished(snapshot), 20);
        return snapshot;
    }

    const labelOf = (now: Snapshot, guest: Guest) => {
        const facts = hostFacts(now);
        const subject = facts && subjects(facts).find(one => one.guest.uuid === guest.uuid);
        return subject && inEnglish(glance(subject).label);
    };

    const shows = (guest: Guest, label: string) =>
        readUntil(`${guest.name} to show “${label}” (${labelOf(snapshot, guest)})`, now => labelOf(now, guest) === label);

    function planOf(planned: Planned): Plan {
        if ("problems" in planned)
            throw new Error(planned.problems.map(({ says }) => inEnglish(says)).join(" "));
        return planned.plan;
    }

    const execute = (plan: Plan): Promise<Executed> => executor(host.machine, watch, () => Promise.resolve("admin"))(plan, () => undefined);

    /** Runs a plan to its end, and insists on what it promised. Answers what takes it back. */
    async function change(plan: Plan): Promise<Plan | undefined> {
        const result = await execute(plan);
        if (result.state === "failed")
            throw new Error(`${inEnglish(result.says)} ${result.words}`);
        expect(result.holds).toBe(true);
        return result.undo;
    }

    const protect = async (guest: Guest) => planOf(planProtect(snapshot, { targets: [{ uuid: guest.uuid, index: 0 }] }));
    const index = async (name: string) => (await host.run(["cat", `/sys/class/net/${name}/ifindex`])).trim();
    let made = 1;
    const byHand = (name: string, more = "") => host.sh(`ip tuntap add dev ${name} mode tap ${more}; ip link set dev ${name} up
        ip address add 169.254.0.1/32 dev ${name}; ip route add 10.0.0.${++made}/32 dev ${name}`);
    const forget = (guest: Guest, ...names: string[]) => host.sh(`virsh destroy ${guest.name} || :; virsh undefine ${guest.name}
        for name in ${names.join(" ")}; do systemctl disable --now kvm-tap@$name || :; ip link delete $name || :; rm -f /etc/kvm-tap/$name.tap; done`);

    test("a device made by hand: adopted, and kept by everything that comes", async () => {
        await byHand("hand0");
        const guest = await defineGuest(host, { name: "charon", interfaces: [ethernet("hand0")] });
        await shows(guest, "Start fails, device is deleted");
        await change(await protect(guest));
        expect(await host.run(["cat", "/etc/kvm-tap/hand0.tap"])).toMatch(/^tuntap add dev hand0 mode tap\n[^]*route replace 10.0.0.2\/32 dev hand0\n$/);
        const before = await index("hand0");
        await shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(await index("hand0")).toBe(before);
        watch.close();
        await host.reboot();
        watchIt();
        expect(await host.run(["ip", "route", "show", "dev", "hand0"])).toContain("10.0.0.2");
        await forget(guest, "hand0");
    });

    test("a device that is missing: made, with the queues that the definition asks for", async () => {
        const guest = await defineGuest(host, { name: "lethe", interfaces: [ethernet("lack0", { inside: "<driver queues='2'/>" })] });
        await shows(guest, "Made by libvirt, gone when the guest stops");
        await change(await protect(guest));
        await shows(guest, "Kept");
        await guest.start();
        await forget(guest, "lack0");
    });

    test("a guest that runs on libvirt's own device: pending, and there again after the stop", async () => {
        const guest = await defineGuest(host, { name: "styx", interfaces: [ethernet("own0")] });
        await guest.start();
        await host.sh("ip address add 169.254.0.1/32 dev own0; ip route add 10.0.1.3/32 dev own0");
        await shows(guest, "Made by libvirt, gone when the guest stops");
        await readUntil("the route", now => valueOf(now.routes)?.some(route => route.device === "own0" && route.destination.startsWith("10.0.1.3")) === true);
        const plan = await protect(guest);
        expect((plan.notes ?? []).map(inEnglish).join(" ")).toMatch(/the hook makes it again at once/);
        await change(plan);
        await shows(guest, "Pending: protected from the next start");
        await guest.virsh("destroy");
        await until("the device to be back", async () => (await host.run(["ip", "route", "show", "dev", "own0"])).includes("10.0.1.3"), 2);
        await shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(await host.run(["ip", "link", "show", "dev", "own0"])).toContain("own0");
        await forget(guest, "own0");
    });

    test("a step that fails: everything is as it was", async () => {
        await byHand("fail0");
        const guest = await defineGuest(host, { name: "acheron", interfaces: [ethernet("fail0")] });
        await shows(guest, "Start fails, device is deleted");
        const plan = await protect(guest);
        const before = await index("fail0");
        await defineGuest(host, { name: "acheron", uuid: guest.uuid, interfaces: [ethernet("fail0", { mac: "52:54:00:00:99:01" })] });
        const result = await execute(plan);
        expect(result).toMatchObject({ state: "failed", left: [] });
        expect(await host.attempt(["systemctl", "is-enabled", "kvm-tap@fail0"])).toMatchObject({ stdout: "disabled\n" });
        expect(await host.machine.read("/etc/kvm-tap/fail0.tap")).toBeNull();
        expect(await index("fail0")).toBe(before);
        await forget(guest, "fail0");
    });

    test("queues that do not fit the device follow it", async () => {
        await byHand("many0", "multi_queue");
        const guest = await defineGuest(host, { name: "cocytus", interfaces: [ethernet("many0")] });
        await shows(guest, "Start fails: device exists");
        await change(await protect(guest));
        await shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        await forget(guest, "many0");
    });

    test("all at once, taken back, and one unprotected", async () => {
        await byHand("all0");
        await byHand("all1");
        await byHand("all2");
        const first = await defineGuest(host, { name: "phlegethon", interfaces: [ethernet("all0"), ethernet("all1")] });
        const second = await defineGuest(host, { name: "eridanos", interfaces: [ethernet("all2")] });
        const atRisk = (now: Snapshot) => { const facts = hostFacts(now); return facts ? devicesAtRisk(subjects(facts)) : []; };
        await readUntil("three devices at risk", now => atRisk(now).length === 3);
        const plan = planOf(planProtect(snapshot, { targets: unprotectedTargets(snapshot) }));
        const undo = await change(plan);
        await readUntil("no device at risk", now => atRisk(now).length === 0);
        if (!undo)
            throw new Error("cannot be taken back");
        await change(undo);
        await readUntil("three devices at risk again", now => atRisk(now).length === 3);
        await change(planOf(planProtect(snapshot, { targets: unprotectedTargets(snapshot) })));
        await shows(second, "Kept");
        await change(planOf(planUnprotect(snapshot, { uuid: second.uuid, index: 0, forget: true })));
        await shows(second, "Start fails, device is deleted");
        expect(await host.machine.read("/etc/kvm-tap/all2.tap")).toBeNull();
        await forget(first, "all0", "all1");
        await forget(second, "all2");
    });
});
