// SPDX-License-Identifier: LGPL-2.1-or-later
// A test host on which guests are protected as the page does it: read, planned, run, and read again.
import { planProtect, type ProtectTarget } from "../../src/actions/protect.ts";
import type { Executed } from "../../src/model/executed.ts";
import { glance, hostFacts, subjects, type Subject } from "../../src/model/glance.ts";
import { inEnglish } from "../../src/model/message.ts";
import type { Plan, Planned } from "../../src/model/plan.ts";
import { protectionOf } from "../../src/model/protection.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { isTap, type TapDevice } from "../../src/model/tap.ts";
import type { Guest } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { watching, type Watching } from "./watching.ts";

/** All that Protect may change: files, units, links with their addresses and routes, definitions. */
const all = `find /etc/kvm-tap /etc/sysctl.d /etc/systemd/system /etc/systemd/network -type f -o -type l | sort | xargs -r ls -l --time-style=+
    cat /etc/kvm-tap/*.tap 2>/dev/null || :
    ip -d -o link show type tun; ip -o address; ip route
    for guest in $(virsh list --all --name); do virsh dumpxml --inactive "$guest"; done`;

export class Protecting {
    private constructor(readonly host: TestHost, private seen: Watching) {}

    static async on(host: TestHost): Promise<Protecting> {
        return new Protecting(host, await watching(host));
    }

    close(): void {
        this.seen.close();
    }

    get snapshot(): Snapshot {
        return this.seen.snapshot();
    }

    /** A real reboot; nobody looks at the host meanwhile. */
    async reboot(): Promise<void> {
        this.seen.close();
        await this.host.reboot();
        this.seen = await watching(this.host);
    }

    until(what: string, holds: (now: Snapshot) => unknown): Promise<Snapshot> {
        return this.seen.until(what, now => now.profiles.state === "read" && holds(now), 20);
    }

    subjects(now = this.snapshot): Subject[] {
        const facts = hostFacts(now);
        return facts ? subjects(facts) : [];
    }

    /** The words of the table, one for each interface of the guest. */
    labels(guest: Guest, now = this.snapshot): string[] {
        return this.subjects(now).filter(subject => subject.guest.uuid === guest.uuid).map(subject => inEnglish(glance(subject).label));
    }

    shows(guest: Guest, ...labels: string[]): Promise<Snapshot> {
        return this.until(`${guest.name} as “${labels.join("”, “")}”`, now => this.labels(guest, now).join() === labels.join());
    }

    /** Those for which the page shows the button. */
    needed(now = this.snapshot): ProtectTarget[] {
        return this.subjects(now).filter(subject => protectionOf(now, subject) === "needed")
            .map(({ guest, pair }) => ({ uuid: guest.uuid, index: pair.configured?.index ?? -1 }));
    }

    tap(name: string): TapDevice | undefined {
        return this.snapshot.links.state === "read" ? this.snapshot.links.value.filter(isTap).find(link => link.name === name) : undefined;
    }

    /** The plan for one interface, or for those named. */
    planFor(guest: Guest, targets: readonly Partial<ProtectTarget>[] = [{}]): Plan {
        return planOf(planProtect(this.snapshot, { targets: targets.map(target => ({ uuid: guest.uuid, index: 0, ...target })) }));
    }

    execute(plan: Plan): Promise<Executed> {
        return this.seen.run(() => ({ plan }));
    }

    /** Runs a plan to its end, and insists on what it promised. Answers what takes it back. */
    async change(plan: Plan): Promise<Plan> {
        const result = await this.execute(plan);
        if (result.state === "failed")
            throw new Error(`${inEnglish(result.says)} ${result.words}`);
        expect(result.holds).toBe(true);
        if (!result.undo)
            throw new Error("cannot be taken back");
        return result.undo;
    }

    /** Protects its first interface; answers what the plan told beside its steps. */
    async protect(guest: Guest, target: Partial<ProtectTarget> = {}): Promise<string> {
        const plan = this.planFor(guest, [target]);
        await this.change(plan);
        return notesOf(plan);
    }

    /** What the host has of everything that Protect may change. */
    state(): Promise<string> {
        // An address that is seconds old is still being looked for on the link.
        return this.host.sh(all).then(text => text.replace(/^\d+: /gm, "").replace(/ numqueues.*$/gm, "").replaceAll(" tentative", ""));
    }

    index(name: string): Promise<string> {
        return this.host.run(["cat", `/sys/class/net/${name}/ifindex`]);
    }

    /** Ends and forgets a guest with its devices. */
    async forget(guest: Guest, ...names: string[]): Promise<void> {
        await this.host.sh(`virsh destroy ${guest.name} || :; virsh undefine ${guest.name}
            for name in ${names.join(" ")}; do systemctl disable --now kvm-tap@$name || :; ip link delete $name || :; rm -f /etc/kvm-tap/$name.tap /etc/sysctl.d/60-kvm-tap-$name.conf; done`);
    }
}

export function planOf(planned: Planned): Plan {
    if ("problems" in planned)
        throw new Error(planned.problems.map(({ says }) => inEnglish(says)).join(" "));
    return planned.plan;
}

export const notesOf = (plan: Plan) => (plan.notes ?? []).map(inEnglish).join(" ");
