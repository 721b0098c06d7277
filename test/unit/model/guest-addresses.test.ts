// SPDX-License-Identifier: LGPL-2.1-or-later
import { addressesIn, leasesIn, neighboursIn, searchAddresses, type AddressSearch } from "../../../src/host/guest-addresses.ts";
import { guestOf, type GuestState } from "../../../src/model/guest.ts";
import { agentsOf, guestChoices, guestOwners, type FoundAddress } from "../../../src/model/guest-addresses.ts";
import { NOTHING_READ } from "../../../src/model/snapshot.ts";
import type { Link } from "../../../src/model/tap.ts";
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
const link = (name: string, master?: string, kind = "tun"): Link => (
    { index: 1, name, kind, mtu: 1500, up: true, carrier: true, ...master !== undefined && { master } });
const BANK = "52:54:00:00:00:02";
const neighbour = (address: string, on = "virbr0", mac = MAC): FoundAddress => ({ by: "neighbour", mac, address, link: on });
const lease = (address: string, network = "default", mac = MAC): FoundAddress => ({ by: "lease", mac, address, network, link: `bridge-of-${network}` });
const agent = (address: string, of = "styx", mac = MAC): FoundAddress => ({ by: "agent", mac, address, guest: of });

interface Case {
    what: string;
    guests: ReturnType<typeof guest>[];
    routes?: ReturnType<typeof route>[];
    links?: Link[];
    /** The host's own, by link. */
    addresses?: Record<string, string>;
    found?: FoundAddress[];
    is: string[];
}

const chosen = ({ guests, routes = [], links = [link("vnet0", "virbr0")], addresses = {}, found = [] }: Case) => guestChoices({
    guests: read(guests), routes: read(routes), links: read(links),
    addresses: read(new Map(Object.entries(addresses).map(([name, address]) => [name, [{ family: "inet" as const, address, prefix: 24, scope: "global" }]]))),
}, found).map(one => `${one.guest.name} ${one.device} ${one.address ?? "?"} ${one.by ?? "?"}`);

test.each<Case>([
    { what: "nothing known", guests: [guest("styx", "running", tap)], is: ["styx styx0 ? ?"] },
    {
        what: "a route before all else", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3")], found: [agent("10.0.0.9")],
        is: ["styx styx0 10.0.0.3 route"],
    },
    {
        what: "each family by itself", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3")], found: [agent("2001:DB8::0:9")],
        is: ["styx styx0 10.0.0.3 route", "styx styx0 2001:db8::9 agent"],
    },
    { what: "several routes, and prefixes", guests: [guest("styx", "off", tap)], routes: [route("10.0.0.3"), route("10.1.0.0/28")],
        is: ["styx styx0 10.0.0.3 route", "styx styx0 10.1.0.0/28 route"] },
    { what: "no default route, no network of the host's own, nothing link-local", guests: [guest("styx", "running", tap)],
        routes: [route("default"), route("10.0.0.0/24", "styx0", "kernel"), route("169.254.7.7")], found: [neighbour("fe80::1", "styx0")],
        is: ["styx styx0 ? ?"] },
    { what: "a neighbour before a lease before an agent", guests: [guest("styx", "running", nat)],
        found: [agent("10.9.0.1"), lease("192.168.122.7"), neighbour("192.168.122.8")], is: ["styx vnet0 192.168.122.8 neighbour"] },
    { what: "several of one kind", guests: [guest("styx", "running", nat)], found: [agent("10.9.0.1"), agent("10.9.0.2")],
        is: ["styx vnet0 10.9.0.1 agent", "styx vnet0 10.9.0.2 agent"] },
    { what: "a clone that is off was not seen", guests: [guest("clone", "off", nat), guest("styx", "running", nat)], found: [lease("192.168.122.7")],
        is: ["clone vnet0 ? ?", "styx vnet0 192.168.122.7 lease"] },
    { what: "an interface that the host's network does not reach", guests: [guest("styx", "running", on("user", ""))], is: [] },
    { what: "an address of somebody else", guests: [guest("styx", "running", nat)], found: [neighbour("10.0.0.7", "virbr0", "52:54:00:00:00:77")],
        is: ["styx vnet0 ? ?"] },
    { what: "a neighbour on its own device", guests: [guest("styx", "running", tap)], links: [link("styx0")], found: [neighbour("10.0.0.3", "styx0")],
        is: ["styx styx0 10.0.0.3 neighbour"] },
    { what: "a neighbour on the link that a macvtap device is made on",
        guests: [guest("styx", "running", on("direct", "<source dev='eth1' mode='bridge'/><target dev='macvtap0'/>"))],
        links: [link("macvtap0", undefined, "macvtap")], found: [neighbour("203.0.113.7", "eth1")], is: ["styx macvtap0 203.0.113.7 neighbour"] },
    { what: "a neighbour on a bridge of Open vSwitch, whose ports have another master",
        guests: [guest("styx", "running", on("bridge", "<source bridge='ovsbr0'/><virtualport type='openvswitch'/><target dev='vnet0'/>"))],
        links: [link("vnet0", "ovs-system")], found: [neighbour("10.7.0.2", "ovsbr0")], is: ["styx vnet0 10.7.0.2 neighbour"] },
    { what: "a lease on the bridge of libvirt's network that the interface names itself",
        guests: [guest("styx", "running", on("bridge", "<source bridge='bridge-of-default'/><target dev='vnet0'/>"))],
        links: [link("vnet0", "bridge-of-default")], found: [lease("192.168.122.7")], is: ["styx vnet0 192.168.122.7 lease"] },
    { what: "an agent on a bridge on which the host's network is a VLAN", guests: [guest("styx", "running", nat)],
        links: [link("vnet0", "virbr0"), { ...link("virbr0.7", undefined, "vlan"), lower: "virbr0" }], routes: [route("10.7.0.0/24", "virbr0.7", "kernel")],
        found: [agent("10.7.0.2")], is: ["styx vnet0 10.7.0.2 agent"] },
    { what: "a lease of a guest that is off", guests: [guest("styx", "off", nat)], found: [lease("192.168.122.7")], is: ["styx vnet0 192.168.122.7 lease"] },
])("$what", one => {
    expect(chosen(one)).toEqual(one.is);
});

describe("what a guest says of others is not believed", () => {
    const bank = guest("bank", "running", on("ethernet", "<target dev='bank0'/>", BANK));
    const bridged = (name: string, mac: string, device: string, bridge = "br7") =>
        guest(name, "running", on("bridge", `<source bridge='${bridge}'/><target dev='${device}'/>`, mac));
    const bankRoute = route("10.0.0.2", "bank0");
    test.each<Case>([
        { what: "an agent with the MAC address of another guest", guests: [bank, guest("styx", "running", tap)], found: [agent("10.0.0.66", "styx", BANK)],
            is: ["bank bank0 ? ?", "styx styx0 ? ?"] },
        { what: "an agent with the MAC address of a guest that is off",
            guests: [guest("bank", "off", on("ethernet", "<target dev='bank0'/>", BANK)), guest("styx", "running", tap)],
            found: [agent("10.0.0.66", "styx", BANK)], is: ["bank bank0 ? ?", "styx styx0 ? ?"] },
        { what: "an agent with an address that is routed to another guest", guests: [bank, guest("styx", "running", tap)], routes: [bankRoute],
            found: [agent("10.0.0.2")], is: ["bank bank0 10.0.0.2 route", "styx styx0 ? ?"] },
        { what: "an agent with an address in a network that is routed to another guest", guests: [bank, guest("styx", "running", tap)],
            routes: [route("10.1.0.0/28", "bank0")], found: [agent("10.1.0.5")], is: ["bank bank0 10.1.0.0/28 route", "styx styx0 ? ?"] },
        { what: "an agent with an address of the host", guests: [guest("styx", "running", tap)], addresses: { eth0: "203.0.113.1" }, found: [agent("203.0.113.1")],
            is: ["styx styx0 ? ?"] },
        { what: "an agent with an address that another guest is seen with", guests: [bridged("bank", BANK, "vnet1"), bridged("styx", MAC, "vnet2")],
            links: [link("vnet1", "br7"), link("vnet2", "br7")], found: [neighbour("10.7.0.2", "br7", BANK), agent("10.7.0.2")],
            is: ["bank vnet1 10.7.0.2 neighbour", "styx vnet2 ? ?"] },
        { what: "the same, and the one that lies is named before", guests: [bridged("bank", BANK, "vnet1"), bridged("abel", MAC, "vnet2")],
            links: [link("vnet1", "br7"), link("vnet2", "br7")], found: [neighbour("10.7.0.2", "br7", BANK), agent("10.7.0.2", "abel")],
            is: ["abel vnet2 ? ?", "bank vnet1 10.7.0.2 neighbour"] },
        { what: "an agent with an address of a network that is not the guest's", guests: [guest("styx", "running", tap)],
            routes: [route("203.0.113.0/24", "eth0", "kernel")], found: [agent("203.0.113.9")], is: ["styx styx0 ? ?"] },
        { what: "ARP of another device", guests: [bank, guest("styx", "running", tap)], links: [link("bank0"), link("styx0")],
            found: [neighbour("10.0.0.66", "styx0", BANK)], is: ["bank bank0 ? ?", "styx styx0 ? ?"] },
        { what: "ARP of another bridge", guests: [bridged("bank", BANK, "vnet1", "br8"), bridged("styx", MAC, "vnet2")],
            links: [link("vnet1", "br8"), link("vnet2", "br7")], found: [neighbour("10.7.0.66", "br7", BANK)], is: ["bank vnet1 ? ?", "styx vnet2 ? ?"] },
        { what: "ARP of the bridge that the definition names, off which somebody took the device", guests: [bridged("bank", BANK, "vnet1")],
            links: [link("vnet1")], found: [neighbour("10.7.0.66", "br7", BANK)], is: ["bank vnet1 ? ?"] },
        { what: "ARP of an uplink", guests: [bank], links: [link("bank0")], found: [neighbour("203.0.113.66", "eth0", BANK)], is: ["bank bank0 ? ?"] },
        { what: "ARP with the MAC address of a guest that is off", guests: [guest("bank", "off", on("ethernet", "<target dev='styx0'/>", BANK)),
            guest("styx", "running", tap)], links: [link("styx0")], found: [neighbour("10.0.0.66", "styx0", BANK)], is: ["bank styx0 ? ?", "styx styx0 ? ?"] },
        { what: "ARP on its own device for what is routed to another", guests: [bank, guest("styx", "running", tap)], routes: [bankRoute],
            links: [link("bank0"), link("styx0")], found: [neighbour("10.0.0.2", "styx0")], is: ["bank bank0 10.0.0.2 route", "styx styx0 ? ?"] },
        { what: "DHCP of another network", guests: [bank, guest("styx", "running", nat)], found: [lease("192.168.122.66", "default", BANK)],
            is: ["bank bank0 ? ?", "styx vnet0 ? ?"] },
        { what: "DHCP of another network of libvirt",
            guests: [guest("bank", "running", on("network", "<source network='inner'/><target dev='vnet1'/>", BANK)), guest("styx", "running", nat)],
            links: [link("vnet0", "virbr0"), link("vnet1", "virbr1")], found: [lease("192.168.122.66", "default", BANK)],
            is: ["bank vnet1 ? ?", "styx vnet0 ? ?"] },
        { what: "a route that the guest itself advertised", guests: [guest("styx", "running", tap)],
            routes: [route("2001:db8:66::/64", "styx0", "ra"), route("10.6.0.0/24", "styx0", "dhcp"), route("10.6.0.7", "styx0", "redirect")],
            is: ["styx styx0 ? ?"] },
    ])("$what", one => {
        expect(chosen(one)).toEqual(one.is);
    });

    test("where others could have said the same, the choice names where", () => {
        const choices = guestChoices({ ...NOTHING_READ, guests: read([guest("styx", "running", nat), guest("solo", "running", tap.replace(MAC, BANK))]),
            links: read([link("vnet0", "virbr0"), link("styx0")]) }, [neighbour("192.168.122.8"), neighbour("10.0.0.3", "styx0", BANK)]);
        expect(choices.map(({ guest: { name }, sharedOn }) => [name, sharedOn])).toEqual([["solo", undefined], ["styx", "virbr0"]]);
    });

    test("of an address that two guests are known by, nobody is the owner", () => {
        const known = { ...NOTHING_READ, guests: read([bridged("bank", BANK, "vnet1", "br8"), bridged("styx", MAC, "vnet2")]),
            links: read([link("vnet1", "br8"), link("vnet2", "br7")]) };
        const owners = guestOwners(known, [neighbour("10.7.0.2", "br8", BANK), neighbour("10.7.0.2", "br7"), neighbour("10.7.0.3", "br7")]);
        expect([...owners].map(([address, { name }]) => `${address} ${name}`)).toEqual(["10.7.0.3 styx"]);
    });
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
            .toEqual([neighbour("10.0.0.2", "br7", "52:54:00:aa:00:01")]);
});

test.each([
    ["leases", " 2026-11-23 06:49:03   52:54:00:00:00:01   ipv4       192.168.122.205/24   oracle     01:52:54:00:00:00:01\n", ["192.168.122.205"]],
    ["an interface of Windows", " Ethernet 2  52:54:00:00:00:01    ipv4         10.7.0.2/24\n Ethernet 2  52:54:00:00:00:01    ipv6         fd00::2%4/64\n", ["10.7.0.2"]],
    ["an error", "error: Failed to query for interfaces addresses\nerror: Guest agent is not responding: QEMU guest agent is not connected\n", []],
    ["a virsh that echoes", "virsh # domifaddr talks --source agent --full\n eth0       52:54:00:00:00:01    ipv6         2001:db8::2/64\n", ["2001:db8::2"]],
])("%s as virsh prints them", (_what, answer, addresses) => {
    expect(addressesIn(answer).map(({ mac, address }) => `${mac} ${address}`)).toEqual(addresses.map(address => `${MAC} ${address}`));
});

test("a lease that calls itself by a row of its own is that of the row it stands in", () => {
    const row = ` 2026-11-23 06:49:03   ${MAC}   ipv4   192.168.122.205/24   x ${BANK} ipv4 10.0.0.66/32 01:52:54:00:00:00:01\n`;
    expect(leasesIn(row, { network: "default", link: "virbr0" }))
            .toEqual([{ by: "lease", mac: MAC, address: "192.168.122.205", network: "default", link: "virbr0" }]);
});

test("an agent that hangs keeps nobody else's address back, and all is told with who says it", async () => {
    const { machine, streams } = streamingMachine();
    const told: AddressSearch[] = [];
    const search = searchAddresses({ ...machine, run: () => Promise.resolve(`[{"dst":"10.0.0.2","dev":"br7","lladdr":"${MAC}"}]`) }, ["styx", "hangs"],
        found => told.push(found));
    const [virsh] = streams;
    let answered = 0;
    const answer = async (text: string) => {
        // The mark that ends an answer is in what was asked, in two halves.
        const marks = [...(virsh?.written ?? "").matchAll(/echo '(.*)''(.*)'/g)].map(([, a, b]) => `${a}${b}`);
        virsh?.handlers.data(`${text}${marks[answered++] ?? ""}\n`);
        await new Promise(resolve => { setTimeout(resolve, 0); });
    };
    await answer("00000000-0000-0000-0000-000000000001\n");
    await answer("Name:           default\nUUID:           00000000-0000-0000-0000-000000000001\nActive:         yes\nBridge:         virbr0\n\n");
    await answer(` 2026-11-23 06:49:03   ${MAC}   ipv4  192.168.122.7/24   -   -\n`);
    expect(virsh?.written).toContain("domifaddr styx --source agent --full\n");
    await answer(` eth0       ${BANK}    ipv4         10.0.0.66/32\n`);
    expect(told.at(-1)).toEqual({
        addresses: [neighbour("10.0.0.2", "br7"), { ...lease("192.168.122.7"), link: "virbr0" }, agent("10.0.0.66", "styx", BANK)], done: false, unread: [],
    });
    search.close();
    await new Promise(resolve => { setTimeout(resolve, 0); });
    expect(told.at(-1)?.done).toBe(false);
});
