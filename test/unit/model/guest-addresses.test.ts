// SPDX-License-Identifier: LGPL-2.1-or-later
import { addressesIn, neighboursIn, searchAddresses, type AddressSearch } from "../../../src/host/guest-addresses.ts";
import { guestOf, type GuestState } from "../../../src/model/guest.ts";
import { agentsOf, guestChoices, type FoundAddress } from "../../../src/model/guest-addresses.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { streamingMachine } from "../host/captured.ts";

const read = <T,>(value: T) => ({ state: "read", value } as const);
const MAC = "52:54:00:00:00:01";

function guest(name: string, state: GuestState, interfaces: string, devices = "") {
    const configured = `<domain type='kvm'><name>${name}</name><devices>${interfaces}${devices}</devices></domain>`;
    return guestOf({
        uuid: name, name, state, persistent: true, autostart: false, managedSave: false, configured, ...state !== "off" && { live: configured },
    });
}
const on = (type: string, inside: string, mac = MAC) => `<interface type='${type}'><mac address='${mac}'/>${inside}</interface>`;
const tap = on("ethernet", "<target dev='styx0'/>");
const nat = on("network", "<source network='default'/><target dev='vnet0'/>");
const route = (destination: string, device = "styx0", protocol = "boot") => ({
    family: destination.includes(":") ? "inet6" as const : "inet" as const, destination, type: "unicast", table: "main", device, protocol,
});
const by = (finder: FoundAddress["by"], address: string, mac = MAC): FoundAddress => ({ mac, address, by: finder });

interface Case {
    what: string;
    guests: ReturnType<typeof guest>[];
    routes?: ReturnType<typeof route>[];
    found?: FoundAddress[];
    is: string[];
}

test.each<Case>([
    { what: "nothing known", guests: [guest("styx", "running", tap)], is: ["styx styx0 ? ?"] },
    {
        what: "a route before all else", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3")], found: [by("agent", "10.0.0.9")],
        is: ["styx styx0 10.0.0.3 route"],
    },
    {
        what: "each family by itself", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3")], found: [by("agent", "2001:DB8::0:9")],
        is: ["styx styx0 10.0.0.3 route", "styx styx0 2001:db8::9 agent"],
    },
    { what: "several routes, and prefixes", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3"), route("10.1.0.0/28")],
        is: ["styx styx0 10.0.0.3 route", "styx styx0 10.1.0.0/28 route"] },
    { what: "no default route, no network of the host's own, nothing link-local", guests: [guest("styx", "off", tap)],
        routes: [route("default"), route("10.0.0.0/24", "styx0", "kernel"), route("169.254.7.7")], found: [by("neighbour", "fe80::1")], is: ["styx styx0 ? ?"] },
    { what: "a neighbour before a lease before an agent", guests: [guest("styx", "running", nat)],
        found: [by("agent", "10.9.0.1"), by("lease", "192.168.122.7"), by("neighbour", "192.168.122.8")], is: ["styx vnet0 192.168.122.8 neighbour"] },
    { what: "several of one kind", guests: [guest("styx", "running", nat)], found: [by("agent", "10.9.0.1"), by("agent", "10.9.0.2")],
        is: ["styx vnet0 10.9.0.1 agent", "styx vnet0 10.9.0.2 agent"] },
    { what: "a clone that is off was not seen", guests: [guest("clone", "off", nat), guest("styx", "running", nat)], found: [by("lease", "192.168.122.7")],
        is: ["clone vnet0 ? ?", "styx vnet0 192.168.122.7 lease"] },
    { what: "an interface that the host's network does not reach", guests: [guest("styx", "running", on("user", ""))], is: [] },
    { what: "an address of somebody else", guests: [guest("styx", "running", nat)], found: [by("neighbour", "10.0.0.7", "52:54:00:00:00:77")], is: ["styx vnet0 ? ?"] },
])("$what", ({ guests, routes = [], found = [], is }) => {
    const snapshot: Snapshot = { ...NOTHING_READ, guests: read(guests), routes: read(routes) };
    expect(guestChoices(snapshot, found).map(one => `${one.guest.name} ${one.device} ${one.address ?? "?"} ${one.by ?? "?"}`)).toEqual(is);
});

test("an agent is asked only where one is connected to a running guest", () => {
    const channel = (state: string) => `<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='${state}'/></channel>`;
    expect(agentsOf([
        guest("talks", "running", nat, channel("connected")), guest("silent", "running", nat, channel("disconnected")), guest("none", "running", nat),
        guest("off", "off", nat, channel("connected")),
    ])).toEqual(["talks"]);
});

test("neighbours that did not answer are none", () => {
    expect(neighboursIn('[{"dst":"10.0.0.2","dev":"br7","lladdr":"52:54:00:AA:00:01","state":["STALE"]},{"dst":"10.0.0.3","dev":"br7","state":["FAILED"]}]'))
            .toEqual([by("neighbour", "10.0.0.2", "52:54:00:aa:00:01")]);
});

test.each([
    ["leases", " 2026-11-23 06:49:03   52:54:00:00:00:01   ipv4       192.168.122.205/24   oracle     01:52:54:00:00:00:01\n", ["192.168.122.205"]],
    ["an interface of Windows", " Ethernet 2  52:54:00:00:00:01    ipv4         10.7.0.2/24\n Ethernet 2  52:54:00:00:00:01    ipv6         fd00::2%4/64\n", ["10.7.0.2"]],
    ["an error", "error: Failed to query for interfaces addresses\nerror: Guest agent is not responding: QEMU guest agent is not connected\n", []],
    ["a virsh that echoes", "virsh # domifaddr talks --source agent --full\n eth0       52:54:00:00:00:01    ipv6         2001:db8::2/64\n", ["2001:db8::2"]],
])("%s as virsh prints them", (_what, answer, addresses) => {
    expect(addressesIn(answer, "agent").map(({ mac, address }) => `${mac} ${address}`)).toEqual(addresses.map(address => `${MAC} ${address}`));
});

test("an agent that hangs keeps nobody else's address back", async () => {
    const { machine, streams } = streamingMachine();
    const told: AddressSearch[] = [];
    const search = searchAddresses({ ...machine, run: () => Promise.resolve(`[{"dst":"10.0.0.2","lladdr":"${MAC}"}]`) }, ["talks"], found => told.push(found));
    const [virsh] = streams;
    // The mark that ends an answer is in what was asked, in two halves.
    const answer = (text: string) => virsh?.handlers.data(`${text}${[...(virsh.written).matchAll(/echo '(.*)''(.*)'/g)].map(([, a, b]) => `${a}${b}`).at(-1) ?? ""}\n`);
    const turn = () => new Promise(resolve => { setTimeout(resolve, 0); });
    answer("00000000-0000-0000-0000-000000000001\n");
    await turn();
    answer(` 2026-11-23 06:49:03   ${MAC}   ipv4  192.168.122.7/24   -   -\n`);
    await turn();
    expect(virsh?.written).toContain("domifaddr talks --source agent --full\n");
    expect(told.at(-1)).toEqual({ addresses: [by("neighbour", "10.0.0.2"), by("lease", "192.168.122.7")], done: false, unread: [] });
    search.close();
    await turn();
    expect(told.at(-1)?.done).toBe(false);
});
