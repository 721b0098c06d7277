// SPDX-License-Identifier: LGPL-2.1-or-later
// What the dialogs offer as a guest's address, on a host whose guests hang on libvirt's own NAT network, on a bridge and on a TAP device.
import { searchAddresses, type AddressSearch } from "../../src/host/guest-addresses.ts";
import type { Machine } from "../../src/host/run.ts";
import { agentsOf, guestChoices } from "../../src/model/guest-addresses.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything } from "./host-files.ts";
import { given, watching, type Watching } from "./watching.ts";

const AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
const MACS = { lease: "52:54:00:00:00:01", agent: "52:54:00:00:00:02", neighbour: "52:54:00:00:00:03", bank: "52:54:00:00:00:05" };

const network = (mac: string) => `<interface type='network'><mac address='${mac}'/><source network='default'/><model type='virtio'/></interface>`;
const bridge = (mac: string) => `<interface type='bridge'><mac address='${mac}'/><source bridge='br7'/><model type='virtio'/></interface>`;

/** All that was found, once nothing more will come; with the commands that it took. */
function search(host: TestHost, agents: readonly string[]): Promise<AddressSearch & { commands: string[][] }> {
    const commands: string[][] = [];
    const machine: Machine = {
        ...host.machine,
        run: (argv, options) => { commands.push([...argv]); return host.machine.run(argv, options); },
        stream: (argv, handlers, options) => { commands.push([...argv]); return host.machine.stream(argv, handlers, options); },
    };
    return new Promise(resolve => {
        searchAddresses(machine, agents, found => { if (found.done) resolve({ ...found, commands }); });
    });
}

await eachRelease(release => {
    if (release !== "trixie" && !everything) {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost, seen: Watching, leased: Guest, told: Guest;

    const lines = (snapshot: Snapshot, found: AddressSearch) => guestChoices(snapshot, found.addresses)
            .filter(({ address }) => !address?.includes(":"))
            .map(({ guest, device, address, by }) => `${guest.name} ${device.replace(/^vnet\d+$/, "vnet")} ${address ?? "?"} ${by ?? "?"}`);
    /** `agents`: of all guests that have one. */
    const look = async () => {
        const found = await search(host, agentsOf(given(seen.snapshot().guests)));
        return { ...found, lines: lines(seen.snapshot(), found) };
    };

    beforeAll(async () => {
        // Elsewhere libvirt's packages bring it along.
        host = await startHost({ release, ...release === "bookworm" && { packages: ["dnsmasq-base"] } });
        await host.sh(`
            virsh net-start default
            ip link add br7 type bridge; ip link set br7 up; ip address add 10.7.0.1/24 dev br7
            ip tuntap add dev charon0 mode tap; ip link set charon0 up; ip route add 10.0.0.2/32 dev charon0
            ip tuntap add dev bank0 mode tap; ip link set bank0 up`);
        await defineGuest(host, { name: "charon", interfaces: [ethernet("charon0")] });
        leased = await defineGuest(host, { name: "lease", interfaces: [network(MACS.lease)], boots: ["dhcp"] });
        told = await defineGuest(host, {
            name: "agent", interfaces: [bridge(MACS.agent)], boots: [{ address: "10.7.0.2", gateway: "10.7.0.1" }], devices: AGENT,
        });
        await defineGuest(host, { name: "deaf", interfaces: [bridge("52:54:00:00:00:04")], devices: AGENT });
        await defineGuest(host, { name: "bank", interfaces: [ethernet("bank0", { mac: MACS.bank, managed: "no" })] });
        await host.sh("virsh start deaf; virsh start bank");
        seen = await watching(host);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    test("of guests that were never seen only the routed one is known, and nothing goes wrong", async () => {
        const { unread, lines } = await look();
        expect(unread).toEqual([]);
        expect(lines).toEqual(["agent br7 ? ?", "bank bank0 ? ?", "charon charon0 10.0.0.2 route", "deaf vnet ? ?", "lease default ? ?"]);
    });

    test("a lease of libvirt's network, a neighbour, and what an agent tells; by one virsh, and the guest without an agent is not asked", async () => {
        await Promise.all([leased.start(), told.start()]);
        await seen.until("the agent to be connected", now => agentsOf(given(now.guests)).length === 1, 60);
        await until("a lease", async () => (await host.sh("virsh -q net-dhcp-leases default")).includes(MACS.lease), 60);
        // What the host itself learnt of them would hide what the others know.
        await host.sh("ip neigh flush dev virbr0; ip neigh flush dev br7");
        const began = Date.now();
        const { lines, commands } = await look();
        expect(Date.now() - began).toBeLessThan(5000);
        const [lease] = lines.filter(line => line.startsWith("lease"));
        expect(lease).toMatch(/^lease vnet 192\.168\.122\.\d+ lease$/);
        expect(lines.filter(line => line !== lease)).toEqual(["agent vnet 10.7.0.2 agent", "bank bank0 ? ?", "charon charon0 10.0.0.2 route", "deaf vnet ? ?"]);
        expect(commands.map(([program]) => program).sort()).toEqual(["ip", "virsh"]);
    });

    test("whoever the host has spoken with is in its neighbour table, and that is believed first", async () => {
        await host.sh("ping -q -c 1 -W 2 10.7.0.2");
        expect((await look()).lines).toContain("agent vnet 10.7.0.2 neighbour");
    });

    test("guests that take another's MAC address, and say so by agent, ARP and DHCP, speak for nobody but themselves", async () => {
        const pose = (then: string) =>
            `(sleep 1; ip link set eth0 down; ip link set eth0 address ${MACS.bank}; ip link set eth0 up; ${then}) > /dev/null 2>&1 &`;
        const [, leasedTo = ""] = /(192\.168\.122\.\d+)\//.exec(await host.sh("virsh -q net-dhcp-leases default")) ?? [];
        await told.sh(pose("ip address add 10.7.0.66/32 dev eth0; ip route add 10.7.0.1 dev eth0; ping -c 30 -I 10.7.0.66 10.7.0.1"));
        await host.run(["curl", "-sS", "--data-binary", pose("udhcpc -q -i eth0 -s /etc/dhcp"), `http://${leasedTo}/cgi-bin/sh`]);
        const lies = async () => {
            const { addresses } = await search(host, agentsOf(given(seen.snapshot().guests)));
            return addresses.filter(({ mac }) => mac === MACS.bank);
        };
        await until("the lies to be told", async () => {
            const told = await lies();
            return ["neighbour", "lease", "agent"].every(by => told.some(lie => lie.by === by));
        }, 60);
        expect((await lies()).map(({ by, address }) => `${by} ${address}`))
                .toEqual(expect.arrayContaining(["neighbour 10.7.0.66", "agent 10.7.0.66"]));
        const { lines } = await look();
        expect(lines).toContain("bank bank0 ? ?");
        expect(lines.join("\n")).not.toContain("10.7.0.66");
    });

    test("without libvirt the neighbours are found all the same, and the rest is said", async () => {
        await host.sh("systemctl stop 'libvirtd*.socket' libvirtd.service 2> /dev/null || true");
        const { unread, addresses } = await search(host, []);
        expect(unread).toEqual([{ id: "The DHCP leases of libvirt's networks could not be read." }]);
        expect(addresses).toContainEqual(expect.objectContaining({ by: "neighbour", link: "br7" }));
    });
});
