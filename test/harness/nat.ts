// SPDX-License-Identifier: LGPL-2.1-or-later
// 1:1 NAT on the made-up host: mappings of every kind, in the table and in the file.
import { natElements, type Mapping, type NatState } from "../../src/model/nat.ts";
import { NAT_FILE, natFile } from "../../src/model/nat-file.ts";
import { CHAIN_RULES, SETS, TABLE_FAMILY, TABLE_NAME } from "../../src/model/nat-frame.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../../src/model/nat-address.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { HOLD_DEVICE, type Route } from "../../src/model/tap.ts";
import { fixture } from "./fixture.ts";

const prefix = (text: string): Prefix => parsePrefix(text) ?? { family: 4, address: "", length: 0 };
const mapping = (outside: string, inside: string, more: Partial<Mapping> = {}): Mapping => ({
    public: prefix(outside), guest: prefix(inside), description: "", enabled: true, claimed: true, log: false, ...more,
});

const mappings: readonly Mapping[] = [
    mapping("203.0.113.10", "10.0.0.2", { description: "mail 📬, and what else charon does for all of us here and elsewhere" }),
    mapping("203.0.113.11", "10.0.0.3", { limits: { protocols: ["icmp"], ports: [{ protocol: "tcp", from: 22, to: 22 }] }, log: true }),
    mapping("203.0.113.12", "10.0.0.4", { enabled: false, description: "old" }),
    mapping("203.0.113.13", "10.0.0.99"),
    mapping("198.51.100.16/28", "10.1.0.0/28", { description: "a whole prefix" }),
    mapping("2001:db8:0:1::10", "2001:db8:77:1:5054:ff:feaa:b"),
];

export const natState: NatState = {
    uplinks: ["eth0"], mappings,
    devices: [{ name: "charon_pvnet1", guarded: true, shared: false }, { name: "styx0", guarded: false, shared: false }],
};

const value = (text: string) => text.includes("/") ? { prefix: { addr: text.split("/")[0], len: Number(text.split("/")[1]) } } : text;

/** The table as `nft -j` lists it. */
function listing(state: NatState, packets: number): unknown {
    const elements = natElements(state);
    const own = { family: TABLE_FAMILY, table: TABLE_NAME };
    const sets = [...SETS].map(([name, kind]) => ({
        [kind]: {
            ...own, name,
            elem: [...elements.get(name) ?? []].map(([key, element]) => {
                const counter = /^(public|guest)/.test(name) ? { counter: { packets, bytes: packets * 60 } } : {};
                const left = { elem: { val: value(key), ...counter, ...element.comment !== undefined && { comment: element.comment } } };
                return element.value === undefined ? left : [left, value(element.value)];
            }),
        },
    }));
    const chains = [...CHAIN_RULES].flatMap(([name, count]) =>
        [{ chain: { ...own, name } }, ...Array.from({ length: count }, () => ({ rule: { ...own, chain: name } }))]);
    return { nftables: [{ table: { family: TABLE_FAMILY, name: TABLE_NAME } }, ...sets, ...chains] };
}

/** The routes that the host holds its public addresses with. */
const held = natState.mappings.filter(({ claimed }) => claimed).map((mapping): Route => ({
    family: mapping.public.family === 4 ? "inet" : "inet6", destination: formatPrefix(mapping.public), type: "unicast", table: "main",
    device: HOLD_DEVICE, protocol: "107",
}));

/** `how`: "agree", "many" guests, or how kernel and file stand to each other. */
export function withNat(how: string): Snapshot {
    const base = fixture(how === "many" ? 40 : 0);
    const file = natFile(how === "differ" ? { ...natState, mappings: mappings.slice(1) } : natState);
    return {
        ...base,
        addresses: { state: "read", value: new Map([["eth0", [{ family: "inet", address: "203.0.113.1", prefix: 24, scope: "global" }]]]) },
        files: { state: "read", value: new Map(how === "unsaved" ? [] : [[NAT_FILE, { path: NAT_FILE, content: file }]]) },
        natTable: { state: "read", value: how === "lost" ? null : listing(natState, 1204) },
        enabled: { state: "read", value: new Set(["kvm-tap-nat.service"]) },
        ...base.routes.state === "read" && { routes: { state: "read", value: [...base.routes.value,
            { family: "inet" as const, destination: "203.0.113.0/24", type: "unicast", table: "main", device: "eth0", protocol: "kernel" },
            ...held] } },
    };
}
