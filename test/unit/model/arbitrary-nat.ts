// SPDX-License-Identifier: LGPL-2.1-or-later
// Arbitrary valid NAT states for property tests.
import fc from "fast-check";
import type { Mapping, NatDevice, NatState, Way } from "../../../src/model/nat.ts";
import { DESCRIPTION_BYTES, PORT_PROTOCOLS, WHOLE_PROTOCOLS, descriptionProblem, normalState } from "../../../src/model/nat.ts";
import type { Prefix } from "../../../src/model/nat-address.ts";
import { fromNumber } from "../../../src/model/nat-address.ts";
import { MOST_WAYS } from "../../../src/model/nat-frame.ts";

const description = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: DESCRIPTION_BYTES }),
    fc.constantFrom("charon", "web, mail; and { more } # not a comment", "trailing \\", "umlaut ä 漢 🦆", "comment : 10.0.0.1"),
).filter(text => descriptionProblem(text) === undefined);

const limits = fc.record({
    protocols: fc.subarray([...WHOLE_PROTOCOLS]),
    ports: fc.array(fc.record({
        protocol: fc.constantFrom(...PORT_PROTOCOLS), from: fc.integer({ min: 1, max: 65535 }), length: fc.nat(300),
    })
            .map(({ protocol, from, length }) => ({ protocol, from, to: Math.min(65535, from + length) })), { maxLength: 5 }),
});

interface Slot {
    slot: number;
    family: 4 | 6;
    net: boolean;
    enabled: boolean;
    claimed: boolean;
    log: boolean;
    description: string;
    limits: Mapping["limits"] | undefined;
    way: number | undefined;
}

// Slots of 16 addresses keep public and guest sides disjoint, whatever else is chosen.
function prefixOf(base: string, { slot, family, net }: Slot): Prefix {
    const starts = base === "public" ? { 4: 0xcb000000n, 6: 0x20010db8n << 96n } : { 4: 0x0a000000n, 6: 0xfdn << 120n };
    const start = starts[family];
    const length = family === 4 ? (net ? 28 : 32) : (net ? 124 : 128);
    return { family, address: fromNumber(family, start + BigInt(slot) * 16n + (net ? 0n : 2n)), length };
}

function mappingOf(slot: Slot): Mapping {
    return {
        public: prefixOf("public", slot), guest: prefixOf("guest", slot), description: slot.description, enabled: slot.enabled,
        claimed: slot.claimed, log: !slot.net && slot.log, ...(slot.limits && !slot.net ? { limits: slot.limits } : {}),
        ...(slot.way === undefined ? {} : { way: slot.way }),
    };
}

const mappings = fc.uniqueArray(fc.record({
    slot: fc.nat(300), family: fc.constantFrom(4 as const, 6 as const), net: fc.boolean(), enabled: fc.boolean(), claimed: fc.boolean(),
    log: fc.boolean(), description, limits: fc.option(limits, { nil: undefined }),
    way: fc.option(fc.constantFrom(1, 2, MOST_WAYS), { nil: undefined }),
}), { selector: slot => `${slot.family}/${slot.slot}`, maxLength: 12 }).map(slots => slots.map(mappingOf));

const ifname = fc.constantFrom("eth0", "eth1", "charon_pvnet1", "all", "vlan.100", "tap0", "uplinks", "add");

const devices: fc.Arbitrary<NatDevice[]> = fc.uniqueArray(
    fc.record({ name: ifname, guarded: fc.boolean(), shared: fc.boolean(), macs: fc.subarray(["52:54:00:25:6f:3f", "fe:00:00:00:00:01"]) }), { selector: device => device.name, maxLength: 4 });

const ways: fc.Arbitrary<Way[]> = fc.uniqueArray(fc.record({
    uplink: ifname, number: fc.integer({ min: 1, max: MOST_WAYS }),
    gateway4: fc.option(fc.constantFrom("198.51.100.254", "192.0.2.1"), { nil: undefined }),
    gateway6: fc.option(fc.constantFrom("fe80::1", "2001:db8:0:2::fe"), { nil: undefined }),
}), { selector: way => way.uplink, maxLength: 3 }).map(all => all.map(({ uplink, number, gateway4, gateway6 }) =>
    ({ uplink, number,
        ...(gateway4 === undefined ? {} : { gateway4 }), ...(gateway6 === undefined ? {} : { gateway6 }) })));

export const states: fc.Arbitrary<NatState> = fc.record({ uplinks: fc.uniqueArray(ifname, { maxLength: 3 }), ways, mappings, devices })
        .map(normalState);
