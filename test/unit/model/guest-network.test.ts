// SPDX-License-Identifier: LGPL-2.1-or-later
import { guestFiles } from "../../../src/model/guest-network.ts";
import type { GuestNetwork, GuestTool } from "../../../src/model/guest-network.ts";

const mac = "52:54:00:25:6f:3f";
const four: GuestNetwork = { mac, name: "eth0", addresses: ["10.0.0.2"] };
const both: GuestNetwork = {
    mac, name: "ens2", addresses: ["10.0.0.2", "10.0.0.3", "2001:db8::2"], nameServers: ["192.0.2.53", "2001:db8::53"], mtu: 1400,
};
const six: GuestNetwork = { mac, name: "eth0", addresses: ["2001:db8::2"], gateway6: "2001:db8:1::1", nameServers: ["2001:db8::53"] };

function textOf(network: GuestNetwork, tool: GuestTool): string[] {
    const file = guestFiles(network).find(candidate => candidate.tool === tool);
    return (file?.text ?? "").split("\n");
}

const table: [GuestTool, GuestNetwork, string][] = [
    ["networkd", four, `
[Match]
MACAddress=52:54:00:25:6f:3f

[Network]
Address=10.0.0.2/32
IPv6AcceptRA=no

[Route]
Gateway=169.254.0.1
GatewayOnLink=yes
`],
    ["networkd", both, `
[Match]
MACAddress=52:54:00:25:6f:3f

[Link]
MTUBytes=1400

[Network]
Address=10.0.0.2/32
Address=10.0.0.3/32
Address=2001:db8::2/128
DNS=192.0.2.53
DNS=2001:db8::53
IPv6AcceptRA=no

[Route]
Gateway=169.254.0.1
GatewayOnLink=yes

[Route]
Gateway=fe80::1
GatewayOnLink=yes
`],
    ["netplan", six, `
network:
  version: 2
  ethernets:
    eth0:
      match:
        macaddress: "52:54:00:25:6f:3f"
      set-name: eth0
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
      - "2001:db8::2/128"
      routes:
      - to: "::/0"
        via: "2001:db8:1::1"
        on-link: true
      nameservers:
        addresses:
        - "2001:db8::53"
`],
    ["cloud-init", four, `
version: 2
ethernets:
  eth0:
    match:
      macaddress: "52:54:00:25:6f:3f"
    set-name: eth0
    dhcp4: false
    dhcp6: false
    accept-ra: false
    addresses:
    - "10.0.0.2/32"
    routes:
    - to: "0.0.0.0/0"
      via: "169.254.0.1"
      on-link: true
`],
    ["ifupdown", both, `
# The interface with MAC address 52:54:00:25:6f:3f
auto ens2
iface ens2 inet static
    address 10.0.0.2/32
    pointopoint 169.254.0.1
    gateway 169.254.0.1
    up ip address add 10.0.0.3/32 dev $IFACE
    mtu 1400
    dns-nameservers 192.0.2.53 2001:db8::53

iface ens2 inet6 static
    address 2001:db8::2/128
    gateway fe80::1
    accept_ra 0
`],
    ["networkmanager", both, `
[connection]
id=ens2
type=ethernet
autoconnect-priority=10

[ethernet]
mac-address=52:54:00:25:6f:3f
mtu=1400

[ipv4]
method=manual
address1=10.0.0.2/32
address2=10.0.0.3/32
gateway=169.254.0.1
dns=192.0.2.53;

[ipv6]
method=manual
address1=2001:db8::2/128
gateway=fe80::1
dns=2001:db8::53;
`],
    ["networkmanager", six, `
[connection]
id=eth0
type=ethernet
autoconnect-priority=10

[ethernet]
mac-address=52:54:00:25:6f:3f

[ipv4]
method=disabled

[ipv6]
method=manual
address1=2001:db8::2/128
gateway=2001:db8:1::1
dns=2001:db8::53;
`],
];

test.each(table)("%s", (tool, network, expected) => {
    expect(textOf(network, tool)).toEqual(expected.slice(1).split("\n"));
});

test("every tool has its file, path and next step", () => {
    const files = guestFiles(both);
    expect(files.map(file => file.title)).toEqual(["systemd-networkd", "netplan", "ifupdown", "NetworkManager", "cloud-init"]);
    for (const file of files)
        expect([file.path, file.says.id, file.text].every(text => text.length > 10)).toBe(true);
});

test("what is no address is left out", () => {
    expect(textOf({ ...four, addresses: ["10.0.0.2", "nonsense"] }, "networkd")).toEqual(textOf(four, "networkd"));
});
