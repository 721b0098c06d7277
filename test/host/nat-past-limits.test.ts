// SPDX-License-Identifier: LGPL-2.1-or-later
// Ways to a guest beside its mapping, connections that end with a change and those that do not, packets that nobody tracks, and IPv6
// default routes of links that have nothing to do with NAT.
import { planChangeMapping, planMapAddress, planMapAddresses, planRemoveMappings } from "../../src/actions/map-address.ts";
import { currentState, natReading } from "../../src/model/nat-reading.ts";
import { EMPTY_STATE, type Limits, type Mapping } from "../../src/model/nat.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, changeOf, emulate, endPrograms, hold, hostPlace, internetPlace, pings, runIn, serve, type Place } from "./nat-lab.ts";

const PORT = 7000;
const HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";
const ONLY_22: Limits = { protocols: [], ports: [{ protocol: "tcp", from: 22, to: 22 }] };

/** A router advertisement (RFC 4861, 4.2) that is good for half an hour, on this link. */
const ADVERTISE = `
import socket, struct, sys
wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
index = socket.if_nametoindex(sys.argv[1])
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
wire.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, index))
`;

await eachRelease(release => {
    if (!everything && release !== "trixie") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost, page: Page;
    let charon: Place, styx: Place, internet: Place;

    const begin = async () => {
        internet = internetPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "2001:db8:9::2");
        styx = await emulate(host, "styx", "10.0.0.3", "fd00::3");
        await Promise.all([charon, styx, internet].map(place => serve(place, PORT)));
        page = new Page(host);
    };

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles(), uplinks: 2 });
        await begin();
        await page.change(snapshot => planMapAddresses(snapshot, [
            { public: "203.0.113.10", guest: "10.0.0.2", limits: ONLY_22 }, { public: "203.0.113.11", guest: "10.0.0.3" },
        ]));
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("a neighbour on the uplink who knows a guest's own address reaches it no more than others do", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::10", guest: "2001:db8:9::2", limits: ONLY_22 }));
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::11", guest: "fd00::3" }));
        // Their default routes lead answers with public sources back, so that nothing but the host stops them.
        await host.internet.sh("ip route add 10.0.0.0/24 via 203.0.113.1; ip route add 2001:db8:9::2 via 2001:db8:0:1::1; ip route add fd00::3 via 2001:db8:0:1::1");
        for (const address of ["10.0.0.2", "10.0.0.3", "2001:db8:9::2", "fd00::3"]) {
            expect([address, await ask(internet, "tcp", address, PORT), await ask(internet, "udp", address, PORT), await pings(internet, address)])
                    .toEqual([address, null, null, false]);
        }
        // Nothing arrived: it is not the answers that are stopped.
        const dropped = await host.sh("nft list chain inet kvm_tap private");
        expect([...dropped.matchAll(/packets (\d+)/g)].map(([, count]) => Number(count) > 0)).toEqual([true, false, true, true]);
        expect(await ask(internet, "tcp", "203.0.113.11", PORT)).not.toBeNull();
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBeNull();
        // Guests among themselves, and the host, by their own addresses.
        expect(await ask(styx, "tcp", "10.0.0.2", PORT)).toBe("10.0.0.3");
        expect(await ask(hostPlace(host), "tcp", "10.0.0.2", PORT)).not.toBeNull();
        await page.change(snapshot => planChangeMapping(snapshot, "2001:db8:0:1::10", { public: "2001:db8:0:1::10", guest: "2001:db8:9::2" }));
        expect(await ask(internet, "tcp", "2001:db8:9::2", PORT)).not.toBeNull();
        await page.change(snapshot => planRemoveMappings(snapshot, ["2001:db8:0:1::10", "2001:db8:0:1::11"]));
    });

    test("limits hold for a guest behind a bridge as well, and other networks behind this host stay reachable", async () => {
        await host.sh(`ip netns add acheron; ip link add br7 type bridge; ip link set br7 up
            ip address add 10.7.0.1/24 dev br7; ip -6 address add 2001:db8:8::1/64 dev br7 nodad
            ip link add acheron0 type veth peer name eth0 netns acheron; ip link set acheron0 master br7 up
            ip -n acheron link set eth0 up; ip -n acheron address add 10.7.0.2/24 dev eth0; ip -n acheron -6 address add 2001:db8:8::2/64 dev eth0 nodad
            ip -n acheron address add 10.7.0.3/24 dev eth0
            ip -n acheron route add default via 10.7.0.1; ip -n acheron -6 route add default via 2001:db8:8::1`);
        await host.internet.sh("ip route add 10.7.0.0/24 via 203.0.113.1; ip route add 2001:db8:8::/64 via 2001:db8:0:1::1");
        const acheron: Place = { enter: ["nsenter", `--net=/proc/${host.leader}/root/run/netns/acheron`, "--"] };
        await serve(acheron, PORT);
        await page.change(snapshot => planMapAddresses(snapshot, [
            { public: "203.0.113.12", guest: "10.7.0.2", limits: ONLY_22 }, { public: "2001:db8:0:1::12", guest: "2001:db8:8::2", limits: ONLY_22 },
        ]));
        for (const address of ["203.0.113.12", "10.7.0.2", "2001:db8:0:1::12", "2001:db8:8::2"])
            expect([address, await ask(internet, "tcp", address, PORT), await ask(internet, "udp", address, PORT)]).toEqual([address, null, null]);
        const dropped = await host.sh("nft list chain inet kvm_tap private");
        expect(dropped).toMatch(/ip daddr @inside4 counter packets [1-9][^]*ip6 daddr @inside6 counter packets [1-9]/);
        expect(await ask(acheron, "tcp", "10.0.0.3", PORT)).toBe("10.7.0.2");
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.12", "2001:db8:0:1::12"]));
        expect(await ask(internet, "udp", "10.7.0.3", PORT)).toBe("203.0.113.254");
    });

    test("packets that others take out of connection tracking: neither answered by the host nor sent with a private source", async () => {
        await host.internet.run(["nft", "-f", "-"], "table inet watch { chain every { type filter hook prerouting priority -300; "
            + "iifname br0 ip saddr 10.0.0.0/8 counter; }; }");
        await host.sh(`nft 'table ip raw { chain PREROUTING { type filter hook prerouting priority -300; udp dport ${PORT} notrack; udp sport ${PORT} notrack; }; }'`);
        await serve(hostPlace(host), PORT, "host");
        expect(await ask(styx, "udp", far.address, PORT)).toBeNull();
        expect(await ask(internet, "udp", "203.0.113.11", PORT)).toBeNull();
        // Also where the table is away.
        await host.sh("nft delete table inet kvm_tap");
        expect(await ask(styx, "udp", far.address, PORT)).toBeNull();
        expect(await ask(internet, "udp", "203.0.113.11", PORT)).toBeNull();
        expect(await runIn(internet, ["nft", "list", "table", "inet", "watch"])).toContain("packets 0");
        await host.sh("nft delete table ip raw; systemctl reload kvm-tap-nat");
    });

    test("any protocol, not only those with ports: nothing comes back from the host while the table is away", async () => {
        await host.sh("nft delete table inet kvm_tap");
        const send = (protocol: number) => host.internet.run(["/usr/bin/python3", "-c", `
import socket, sys
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, ${protocol})
errors = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
errors.settimeout(0.4)
wire.sendto(bytes(20), ("203.0.113.11", 0))
try:
    print(errors.recvfrom(500)[1][0])
except TimeoutError:
    print("nothing")
`]);
        for (const protocol of [4, 47, 50, 132, 200])
            expect([protocol, await send(protocol)]).toEqual([protocol, "nothing\n"]);
        await host.sh("systemctl reload kvm-tap-nat");
    });

    test("a prefix removed ends its connections in both families, and no others", async () => {
        await host.sh("ip route add 10.0.1.16/28 dev charon0; ip -n charon address add 10.0.1.20/32 dev lo; "
            + "ip -6 route add fd00:1::/112 dev charon0; ip -n charon -6 address add fd00:1::5/128 dev eth0 nodad");
        await host.internet.sh("ip route add 2001:db8:77::/112 via 2001:db8:0:1::1");
        endPrograms();
        await Promise.all([charon, styx, internet].map(place => serve(place, PORT)));
        await page.change(snapshot => planMapAddresses(snapshot, [
            { public: "203.0.113.32/28", guest: "10.0.1.16/28" }, { public: "2001:db8:77::/112", guest: "fd00:1::/112" },
        ]));
        const gone = await Promise.all([hold(internet, "203.0.113.36", PORT), hold(internet, "2001:db8:77::5", PORT)]);
        const stays = await Promise.all([hold(internet, "203.0.113.11", PORT), hold(styx, "10.0.1.20", PORT)]);
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.32/28", "2001:db8:77::/112"]));
        await until("the connections of the prefixes to end", () => gone.every(each => each.state() === "closed"));
        expect(stays.map(each => each.state())).toEqual(["open", "open"]);
    });

    test("connections of 2,000 removed mappings end in one pass, exactly those", async () => {
        const mappings = Array.from({ length: 2000 }, (_, index): Mapping => ({
            public: { family: 4, address: `198.18.${index >> 8}.${index & 255}`, length: 32 },
            guest: { family: 4, address: `10.1.${index >> 8}.${index & 255}`, length: 32 },
            description: "", enabled: true, claimed: true, log: false,
        }));
        const reading = natReading(await page.read());
        const before = reading.state === "read" ? currentState(reading.value) : EMPTY_STATE;
        const after = { ...before, mappings: [...before.mappings, ...mappings] };
        await host.run([HELPER, "apply"], changeOf(before, after));
        const entry = (source: string, destination: string, from: string, to: string, port: number) => `-A -p udp -s ${source} -d ${destination} `
            + `-r ${from} -q ${to} --sport ${port} --dport 53 --reply-port-src 53 --reply-port-dst ${port} -t 600\n`;
        await host.run(["sh", "-c", "cat > /tmp/entries; conntrack -R /tmp/entries > /dev/null"], [
            ...mappings.map(({ public: outside, guest }, index) => entry("192.0.2.80", outside.address, guest.address, "192.0.2.80", 1000 + index)),
            ...Array.from({ length: 3000 }, (_, index) => entry("192.0.2.81", "203.0.113.1", "203.0.113.1", "192.0.2.81", 1000 + index)),
        ].join(""));
        const count = () => host.sh("conntrack -L -p udp 2> /dev/null | awk '/192.0.2.80/ { gone++ } /192.0.2.81/ { stays++ } END { print gone + 0, stays + 0 }'");
        expect(await count()).toBe("2000 3000\n");
        // Of all processes that this machine started meanwhile.
        const processes = async () => Number(await host.sh("awk '/^processes/ { print $2 }' /proc/stat"));
        const started = await processes();
        await host.run([HELPER, "apply"], changeOf(after, before));
        expect(await processes() - started).toBeLessThan(1000);
        expect(await count()).toBe("0 3000\n");
    });

    test("where connections cannot be ended it is said, and the change stays", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.12", guest: "10.0.0.9" }));
        await host.sh("sed -i 's/NETLINK_NETFILTER$/&/; s/socket.SOCK_RAW, 12)/socket.SOCK_RAW, 63)/' /usr/lib/kvm-tap/kvm_tap/connections.py");
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.12"]));
        expect(await host.machine.read("/run/kvm-tap/nat-remark")).toMatch(/^the tracked connections cannot be read: /);
        expect(await host.sh("journalctl -t kvm-tap KVM_TAP_EVENT=connections-kept -o cat")).toContain("old connections go on");
        await host.sh("sed -i 's/socket.SOCK_RAW, 63)/socket.SOCK_RAW, 12)/' /usr/lib/kvm-tap/kvm_tap/connections.py");
    });

    test("IPv6 forwarding costs no default route: of no link, not now, not at the next boot", async () => {
        const advertise = () => host.internet.run(["/usr/bin/python3", "-c", ADVERTISE, "br1"]);
        const learnt = () => host.sh("ip -6 route show default proto ra dev eth1");
        await host.sh("echo 1 > /proc/sys/net/ipv6/conf/eth1/accept_ra");
        await until("a route from an advertisement", async () => { await advertise(); return await learnt() !== ""; });
        await page.readUntil("the route to be read", snapshot => snapshot.routes.state === "read"
            && snapshot.routes.value.some(route => route.protocol === "ra" && route.device === "eth1"));
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::12", guest: "fd00::3" }));
        expect(await host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding")).toBe("1\n");
        expect(await learnt()).toContain("via fe80::");
        expect(await host.machine.read("/etc/sysctl.d/60-kvm-tap.conf")).toContain("net/ipv6/conf/eth1/accept_ra = 2");
        page.close();
        endPrograms();
        await host.reboot();
        await begin();
        expect(await host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/eth1/accept_ra")).toBe("1\n2\n");
        await until("a route from an advertisement", async () => { await advertise(); return await learnt() !== ""; });
        await page.change(snapshot => planRemoveMappings(snapshot, ["2001:db8:0:1::12"]));
        expect(await host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding")).toBe("0\n");
    });
});
