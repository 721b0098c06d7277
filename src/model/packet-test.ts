// SPDX-License-Identifier: LGPL-2.1-or-later
// What became of the packets of a mapping that were traced, in words: which chain and rule of whom drops them, or what the guest did.
import type { Ruleset } from "./firewall.ts";
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import { isPrivate } from "./nat-address.ts";
import { cureOf, programOf } from "./nat-foreign.ts";
import { TABLE } from "./nat-frame.ts";
import type { TracedPacket, TraceStep } from "./packet-trace.ts";
import { droppedBy, tracedPackets } from "./packet-trace.ts";
import { HOLD_DEVICE } from "./tap.ts";

/** What the packets are held against. */
export interface TestedMapping {
    public: string;
    guest: string;
    /** The way to the guest, by the host's routes. */
    device: string | undefined;
    uplink: string;
    /** Tables of others, to tell whose a chain is and whether some are not in the trace. */
    firewalls: readonly Ruleset[];
}

/** What came of it, and what to do. */
export interface Outcome {
    severity: "danger" | "warning" | "info" | "success";
    says: Message;
    cure?: Message;
}

/** One line of a packet's way: what the host did, or which rule of whom it met. "bad" where it ended. */
export type Hop = { state: "ok" | "bad" } & ({ says: Message } | { program: string; rule: string });

/** Packets of one connection and what became of it. */
export interface Story {
    key: string;
    title: Message;
    hops: readonly Hop[];
    result: Outcome;
}

/** Packets there and back with the same peer. */
interface Connection {
    key: string;
    began: "in" | "out";
    there: TracedPacket[];
    back: TracedPacket[];
}

/** What somebody says of a packet: a message of ICMP, which has no ports. */
const MESSAGE = /^(destination-unreachable|time-exceeded|parameter-problem|packet-too-big)$/;

function connections(packets: readonly TracedPacket[], tested: TestedMapping): Connection[] {
    const found = new Map<string, Connection>();
    for (const packet of packets) {
        const inward = packet.destination === tested.public && packet.source !== tested.guest;
        if (!inward && packet.source !== tested.guest)
            continue;
        const [peer, port] = inward ? [packet.source, packet.from] : [packet.destination, packet.to];
        const about = MESSAGE.test(packet.what)
            ? [...found.values()].reverse().find(({ key, began }) => began !== (inward ? "in" : "out") && key.startsWith(`${peer} `)) : undefined;
        if (about) {
            about.back.push(packet);
            continue;
        }
        const key = `${peer} ${packet.protocol} ${port}`;
        const connection = found.get(key) ?? { key, began: inward ? "in" : "out", there: [], back: [] };
        (connection.began === (inward ? "in" : "out") ? connection.there : connection.back).push(packet);
        found.set(key, connection);
    }
    return [...found.values()];
}

/** Of several alike (a ping repeats itself) the first that passed: only the first meets the rules that translate. */
function best(packets: readonly TracedPacket[]): TracedPacket | undefined {
    return packets.find(({ passed }) => passed) ?? packets[0];
}

/** Whose a chain is: "Docker", "KVM TAP"; empty where that cannot be told. */
function whose(step: TraceStep, tested: TestedMapping): string {
    if (step.table === TABLE)
        return "KVM TAP";
    const [, name = ""] = step.table.split(" ");
    const rules = tested.firewalls.find(({ family, table, by }) => by === "nftables" && `${family} ${table}` === step.table);
    return programOf(rules ?? { table: name, chains: new Map() }, step.chain);
}

function place({ table, chain, rule, verdict }: TraceStep): string {
    return `${table} ${chain}: ${rule === "" ? verdict : rule}`;
}

function dropSays(step: TraceStep, tested: TestedMapping, towards: "guest" | "outside"): Message {
    const program = whose(step, tested);
    const where = place(step);
    if (towards === "guest") {
        return program === "" ? msg("Dropped on the way to the guest, by $0", where) : msg("Dropped on the way to the guest by $0: $1", program, where);
    }
    return program === "" ? msg("Dropped on the way out, by $0", where) : msg("Dropped on the way out by $0: $1", program, where);
}

/** What to do where our own table drops it, by chain. */
function ownCure(chain: string): Message | undefined {
    switch (chain) {
    case "limits": return msg("This mapping lets in only what is listed at it. Change the mapping to let in more.");
    case "prerouting":
    case "guard": return msg("The host holds this address, and no enabled mapping sends it on. Enable the mapping.");
    case "spoofed": return msg("Anti-spoofing: the guest sends from an address that is not routed to its device.");
    case "reached":
    case "private": return msg("Nothing translated the packet, and guests are reached from outside by their public addresses alone.");
    case "untranslated": return msg("The packet would have left with a private source address.");
    default: return undefined;
    }
}

function dropped(step: TraceStep, tested: TestedMapping, towards: "guest" | "outside"): Outcome {
    const cure = step.table === TABLE ? ownCure(step.chain) : cureOf(whose(step, tested), `${step.table} ${step.chain}`, tested.uplink, tested.device);
    return { severity: "danger", says: dropSays(step, tested, towards), ...(cure ? { cure } : {}) };
}

/** It passed every rule that was seen and did not come out: what the trace does not show. */
function lost(packet: TracedPacket, tested: TestedMapping): Outcome {
    const last = packet.steps.at(-1);
    const where = last ? `${last.table} ${last.chain}` : packet.in;
    const legacy = tested.firewalls.some(({ by }) => by === "iptables-legacy");
    return {
        severity: "danger",
        says: msg("The kernel dropped the packet after $0, by no rule of nftables.", where),
        cure: legacy
            ? msg("This host has rules of iptables-legacy, which no trace shows: look at \"iptables-legacy-save\". Or forwarding is off, or there is no route.")
            : msg("Forwarding is off for one of the devices, there is no route, or reverse path filtering (rp_filter) found the packet on a wrong device."),
    };
}

/** How one packet ended, undefined if it passed. */
function ended(packet: TracedPacket, tested: TestedMapping, towards: "guest" | "outside"): Outcome | undefined {
    if (packet.passed)
        return undefined;
    const step = droppedBy(packet);
    return step ? dropped(step, tested, towards) : lost(packet, tested);
}

const untranslated = msg("Load and enable the mapping. Where it is, a rule of others keeps the packet from connection tracking (notrack).");

/** What the guard at the uplink drops, behind all rules of nftables (tc-bpf(8), pkg/host/kvm_tap/guard.py): no trace shows it. */
function guarded(packet: TracedPacket, tested: TestedMapping): Outcome | undefined {
    if (packet.out !== tested.uplink || packet.leavesAs !== tested.guest || !isPrivate(packet.leavesAs))
        return undefined;
    return {
        severity: "danger", cure: untranslated,
        says: msg("Dropped at $0 by the guard of KVM TAP: nothing translated the private source address $1.", packet.out, packet.leavesAs),
    };
}

/** What was addressed to the public address and translated by nothing goes to a device that swallows it. */
function held(packet: TracedPacket, tested: TestedMapping): Outcome | undefined {
    return packet.out === HOLD_DEVICE
        ? { severity: "danger", says: msg("Dropped by this host, which holds $0: nothing translated the packet.", tested.public), cure: untranslated }
        : undefined;
}

function silence(tested: TestedMapping, neighbour: string): Outcome {
    if (/FAILED|INCOMPLETE/.test(neighbour)) {
        return {
            severity: "danger", says: msg("The packet went out by $0, but nobody there answers for $1.", tested.device ?? "", tested.guest),
            cure: msg("The guest is off, still booting, or has another address inside."),
        };
    }
    return {
        severity: "warning", says: msg("The packet was handed to the guest, which did not answer."),
        cure: msg("Look inside of the guest: its firewall, its default route, and whether it answers to this kind of packet."),
    };
}

function answered(back: TracedPacket): Outcome {
    if (back.what.includes("rst"))
        return { severity: "warning", says: msg("The guest answers that nothing listens at port $0. The way there and back works.", back.from) };
    if (/unreachable|prohibited/.test(back.what))
        return { severity: "warning", says: msg("The guest refuses it ($0). The way there and back works.", back.what) };
    return { severity: "success", says: msg("It works: the guest answered, and its answer leaves as $0.", back.leavesAs) };
}

function inResult(there: TracedPacket, back: TracedPacket | undefined, tested: TestedMapping, neighbour: string): Outcome {
    const wrong = ended(there, tested, "guest") ?? held(there, tested);
    if (wrong)
        return wrong;
    if (there.out === tested.uplink) {
        return { severity: "danger", says: msg("The packet left by $0 again: no route leads to the guest.", there.out) };
    }
    if (!back)
        return silence(tested, neighbour);
    return ended(back, tested, "outside") ?? guarded(back, tested) ?? answered(back);
}

function outResult(there: TracedPacket, back: TracedPacket | undefined, tested: TestedMapping): Outcome {
    const wrong = ended(there, tested, "outside") ?? guarded(there, tested);
    if (wrong)
        return wrong;
    if (there.leavesAs !== tested.public)
        return { severity: "warning", says: msg("What the guest sends leaves by $0 with the address $1.", there.out, there.leavesAs) };
    if (!back)
        return { severity: "info", says: msg("What the guest sends leaves by $0 as $1; no answer was seen.", there.out, there.leavesAs) };
    return ended(back, tested, "guest") ?? held(back, tested) ?? { severity: "success", says: msg("It works: the guest reaches $0 as $1, and the answers come in.", there.destination, there.leavesAs) };
}

/** Rules that decided or changed something. */
function chainHops(packet: TracedPacket, tested: TestedMapping): Hop[] {
    const end = droppedBy(packet);
    const telling = packet.steps.filter(step => step === end || !/^(continue|return|policy accept|(jump|goto) .*)$/.test(step.verdict));
    return telling.map(step => ({
        state: step === end ? "bad" : "ok", program: whose(step, tested), rule: `${place(step)}${step.rule === "" ? "" : ` → ${step.verdict}`}`,
    }));
}

function packetHops(packet: TracedPacket, tested: TestedMapping): Hop[] {
    const kind = [packet.protocol, packet.what].filter(text => text !== "").join(" ");
    return [
        { state: "ok", says: msg("Comes in by $0 from $1 to $2 ($3)", packet.in, packet.source, packet.destination, kind) },
        ...chainHops(packet, tested),
        ...(packet.passed ? [{ state: "ok" as const, says: msg("Leaves by $0 as $1", packet.out, packet.leavesAs) }]
            : droppedBy(packet) ? [] : [{ state: "bad" as const, says: msg("Ends here: no further rule saw it.") }]),
    ];
}

/** Stories of the traced packets, the latest first. `neighbour` is the kernel's word on the guest address ("# neighbour" lines). */
export function stories(lines: readonly string[], tested: TestedMapping): Story[] {
    const neighbour = lines.filter(line => line.startsWith("# neighbour ")).at(-1) ?? "";
    return connections(tracedPackets(lines), tested).reverse().flatMap(({ key, began, there: forth, back: answers }) => {
        const [there, back] = [best(forth), best(answers)];
        if (!there)
            return [];
        const result = began === "in" ? inResult(there, back, tested, neighbour) : outResult(there, back, tested);
        const [peer = ""] = key.split(" ");
        return [{
            key, result, hops: [there, ...(back ? [back] : [])].flatMap(packet => packetHops(packet, tested)),
            title: began === "in" ? msg("From $0 to the guest ($1)", peer, there.protocol) : msg("From the guest to $0 ($1)", peer, there.protocol),
        }];
    });
}

/** What to say where not one packet was seen. */
export function nothingSeen(kind: "ping" | "tcp" | "wait", uplink: string): Outcome {
    return kind === "wait"
        ? {
            severity: "info", says: msg("Nothing has come in for this address yet."),
            cure: msg("If somebody is trying right now, the packets do not reach this host: look at the provider's side and at who answers for the address on $0.", uplink),
        }
        : { severity: "danger", says: msg("No rule of this host saw the test packet.") };
}
