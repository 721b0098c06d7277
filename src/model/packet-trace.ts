// SPDX-License-Identifier: LGPL-2.1-or-later
// What `nft monitor trace` says of packets (nft(8), MONITOR), as pkg/host/kvm-tap-trace prints it: lines
//     trace id HEX FAMILY TABLE CHAIN packet: iif "eth0" … | rule RULE (verdict X) | verdict X | policy X
// in the order in which the packet came by. Text, since nft 1.0.6 to 1.1.7 print it with -j, too.

/** One chain's decision: a rule that matched, or what happened at the chain's end. */
export interface TraceStep {
    /** "inet firewalld". */
    table: string;
    chain: string;
    /** As nft writes it; empty for a policy and for the end of a chain. */
    rule: string;
    /** accept, drop, "jump X", continue, return …; "policy drop" where no rule decided. */
    verdict: string;
}

export interface TracedPacket {
    id: string;
    /** Devices; `out` is known once the packet was routed. */
    in: string;
    out: string;
    source: string;
    destination: string;
    /** As it leaves, after all translations. */
    leavesAs: string;
    protocol: string;
    /** Ports of TCP and UDP; the identifier of a ping twice. */
    from: string;
    to: string;
    /** "echo-request", "syn", "rst,ack"; empty for others. */
    what: string;
    steps: readonly TraceStep[];
    /** It came by our last chain: the host was done with it. */
    passed: boolean;
}

/** Table of the test, which is gone afterwards: pkg/host/kvm-tap-trace. */
export const TRACE_TABLE = "inet kvm_tap_trace";

const LINE = /^trace id (\S+) (ip|ip6|inet) (\S+) (\S+) (packet:|rule|verdict|policy) ?(.*)$/;

function word(text: string, pattern: RegExp): string {
    return pattern.exec(text)?.[1] ?? "";
}

const FLAGS = ["fin", "syn", "rst", "psh", "ack", "urg"] as const;

/** Names where nft printed a number: "0x14" is "rst,ack". */
function flags(text: string): string {
    const bits = /^0x[0-9a-f]+$/i.test(text) ? Number.parseInt(text, 16) : undefined;
    return bits === undefined ? text.replace(/ \| /g, ",") : FLAGS.filter((_name, bit) => (bits >> bit & 1) === 1).join(",");
}

function header(text: string) {
    const icmp = word(text, /icmp(?:v6)? type (\S+)/);
    const id = word(text, /icmp(?:v6)? id (\S+)/);
    return {
        in: word(text, /\biif "([^"]*)"/), out: word(text, /\boif "([^"]*)"/),
        source: word(text, /\bip6? saddr (\S+)/), destination: word(text, /\bip6? daddr (\S+)/),
        protocol: word(text, /\b(?:ip protocol|ip6 nexthdr) (\S+)/),
        from: id || word(text, /\b\w+ sport (\S+)/), to: id || word(text, /\b\w+ dport (\S+)/),
        what: icmp || flags(word(text, /tcp flags (?:== )?(.+?) tcp window/)),
    };
}

function stepOf(table: string, chain: string, kind: string, text: string): TraceStep {
    const rule = /^(.*?) ?\(verdict (.*)\)\s*$/.exec(text);
    if (kind === "rule") {
        const words = (rule?.[1] ?? text).replace(/\bcounter packets \d+ bytes \d+ ?/g, "").trim();
        return { table, chain, rule: words, verdict: rule?.[2] ?? "continue" };
    }
    return { table, chain, rule: "", verdict: kind === "policy" ? `policy ${text.trim()}` : text.trim() };
}

type Growing = Omit<TracedPacket, "steps"> & { steps: TraceStep[] };

/** Every packet in these lines, in the order in which they were first seen. Lines of other kinds are skipped. */
export function tracedPackets(lines: readonly string[]): TracedPacket[] {
    const all: Growing[] = [];
    const packets = new Map<string, Growing>();
    for (const line of lines) {
        const [, id, family = "", name = "", chain = "", kind = "", text = ""] = LINE.exec(line) ?? [];
        if (id === undefined)
            continue;
        const table = `${family} ${name}`;
        const ours = table === TRACE_TABLE;
        if (kind === "packet:" && ours && chain === "first") {
            // Identifiers come again: this is the beginning of another packet.
            const packet = { id, ...header(text), leavesAs: "", passed: false, steps: [] };
            packets.set(id, packet);
            all.push(packet);
        } else if (kind === "packet:") {
            const seen = header(text);
            const packet = packets.get(id);
            if (packet)
                Object.assign(packet, { out: seen.out || packet.out, ...(ours && chain === "last" ? { leavesAs: seen.source, passed: true } : {}) });
        } else if (!ours) {
            packets.get(id)?.steps.push(stepOf(table, chain, kind, text));
        }
    }
    return all;
}

/** The step that ended the packet; undefined where no rule did. A rejected packet is dropped, too. */
export function droppedBy(packet: TracedPacket): TraceStep | undefined {
    return packet.passed ? undefined : packet.steps.find(({ verdict }) => /^(policy )?drop$/.test(verdict));
}
