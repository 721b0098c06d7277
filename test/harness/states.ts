// SPDX-License-Identifier: LGPL-2.1-or-later
// The states that the page may be in, each as a made-up host: `?state=NAME`. test/browser/everything.test.ts walks through all of them.
import { msg } from "../../src/model/message.ts";
import type { Execute, Executed } from "../../src/model/executed.ts";
import { NOTHING_READ, valueOf, type Reading, type Snapshot } from "../../src/model/snapshot.ts";
import { failing, fixture } from "./fixture.ts";
import { withNat } from "./nat.ts";
import { withTaps } from "./taps.ts";

/** How a change ends. */
export type End = "well" | "failed" | "left behind" | "not as promised" | "never";

export interface State {
    snapshot: Snapshot;
    /** By default well, with an undo. */
    ends?: End;
    /** Where it is seen; everywhere unless said. */
    places?: readonly string[];
    /** Files that a page reads by itself. */
    files?: Readonly<Record<string, string>>;
    /** What commands print; those that are not here are not installed. By the start of the command line. */
    commands?: Readonly<Record<string, string>>;
}

const read = <T>(value: T) => ({ state: "read" as const, value });

/** A host with something of everything: guests, devices, mappings, findings, history. `how`: kernel and file of the NAT to each other. */
function furnished(how = "agree"): Snapshot {
    const [snapshot, nat] = [withTaps(3), withNat(how)];
    const both = <Value>(one: Reading<ReadonlyMap<string, Value>>, other: Reading<ReadonlyMap<string, Value>>) =>
        read(new Map([...valueOf(one) ?? [], ...valueOf(other) ?? []]));
    return {
        ...snapshot,
        natTable: nat.natTable, routes: nat.routes,
        files: both(snapshot.files, nat.files), addresses: both(snapshot.addresses, nat.addresses),
        enabled: read(new Set([...valueOf(snapshot.enabled) ?? [], ...valueOf(nat.enabled) ?? []])),
        services: read(new Map(["libvirtd", "firewalld", "docker", "ufw", "nftables", "systemd-networkd", "NetworkManager", "networking"]
            .map((name, index) => [`${name}.service`, index % 3 === 2 ? "inactive" : "active"]))),
        hook: read({ installed: true, inEffect: false }),
    };
}

function empty(): Snapshot {
    const snapshot = fixture();
    return {
        ...snapshot, guests: read([]), links: read([]), addresses: read(new Map()), routes: read([]), units: read(new Map()),
        history: read([]),
        services: read(new Map()), profiles: read(new Map()), holders: read(new Map()), enabled: read(new Set()),
        hook: read({ installed: false, inEffect: false }),
    };
}

function allFailed(): Snapshot {
    const failed = { state: "failed" as const, says: msg("$0 is not installed", "ip"), words: "sh: ip: not found" };
    return {
        ...failing(), links: failed, addresses: failed, routes: failed, natTable: failed, files: failed, history: failed, hook: failed,
    };
}

function interrupted(): Snapshot {
    return {
        ...furnished(), hook: read({ installed: true, inEffect: "unknown" }),
        streams: {
            libvirt: { state: "interrupted", words: "error: Disconnected from qemu:///system due to end of file", again: true },
            network: { state: "interrupted", words: "", again: false },
            nat: { state: "interrupted", words: "nft: killed", again: false }, history: { state: "interrupted", words: "", again: true },
        },
    };
}

/** `conntrack -L`: connections through the first mapping. */
export const conntrack = [1, 2, 3].map(port => `tcp 6 431999 ESTABLISHED src=192.0.2.80 dst=203.0.113.10 sport=${port} dport=22 `
    + `src=10.0.0.2 dst=192.0.2.80 sport=22 dport=${port} [ASSURED] mark=0 use=1\n`).join("");

type Making = Omit<State, "snapshot"> & { make(): Snapshot };

export const states: Readonly<Record<string, Making>> = {
    furnished: { make: () => furnished(), commands: { conntrack }, files: { "/proc/sys/net/ipv4/ip_forward": "1\n" } },
    "without rights": { make: () => ({ ...furnished(), access: "limited" }) },
    empty: { make: empty },
    reading: { make: () => ({ ...NOTHING_READ, access: "admin" }) },
    unreadable: { make: allFailed },
    interrupted: { make: interrupted, places: ["/host"] },
    many: { make: () => fixture(120), places: ["/guests"] },
    "nat lost": { make: () => furnished("lost"), places: ["/nat"] },
    "nat not saved": { make: () => furnished("unsaved"), places: ["/nat"] },
    "nat differs": { make: () => furnished("differ"), places: ["/nat"] },
    "nat waits": { make: () => furnished(), places: ["/nat"], commands: { "/usr/lib/kvm-tap/kvm-tap-nat confirm": "" }, files: { "/run/kvm-tap/nat-deadline": "1000.0\n", "/proc/uptime": "400.0 0\n" } },
    "nat put back": { make: () => furnished(), places: ["/nat"], files: { "/run/kvm-tap/nat-reverted/reason": "nobody confirmed it within 15 s\n" } },
    "a change ends well": { make: () => furnished(), places: ["/guests"], ends: "well" },
    "a change fails": { make: () => furnished(), places: ["/nat"], ends: "failed" },
    "a change leaves something behind": { make: () => furnished(), places: ["/nat"], ends: "left behind" },
    "a change ends otherwise": { make: () => furnished(), places: ["/nat"], ends: "not as promised" },
    "a change takes long": { make: () => furnished(), places: ["/taps"], ends: "never" },
};

const wait = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds));

/** Runs a plan on the made-up host: nothing happens there, but the page is told so. */
export function executes(ends: End): Execute {
    const failure = (left: boolean): Executed => ({
        state: "failed", step: 0, says: msg("$0 is not installed", "ip"), words: "RTNETLINK answers: Operation not permitted",
        left: left ? [msg("$0 is not installed", "nft")] : [],
    });
    return async (plan, progress) => {
        for (const [index] of plan.steps.entries()) {
            progress(index, "running");
            await (ends === "never" && index > 0 ? new Promise(() => undefined) : wait(20));
            if (ends === "failed" || ends === "left behind") {
                progress(index, ends === "failed" ? "failed" : "undo-failed");
                return failure(ends === "left behind");
            }
            progress(index, "done");
        }
        return { state: "done", holds: ends !== "not as promised", undo: plan };
    };
}
