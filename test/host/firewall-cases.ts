// SPDX-License-Identifier: LGPL-2.1-or-later
// Firewalls that hosts really have, set up by their own programs, and what becomes of a mapping beside each of them.
import type { Release } from "../lab/trees.ts";

export interface Case {
    firewall: string;
    /** The release that has it in `make check`; all have it in `make check-all`. */
    on: Release | "all";
    /** Packages beside the usual ones. */
    packages?: readonly string[];
    /** What its administrator types. */
    set: string;
    clear: string;
    /** What the page says, worst first; empty where it finds nothing. */
    says: readonly RegExp[];
    /** Whether connections to the guest and from it succeed. */
    in: boolean;
    out: boolean;
    /** Whether a ping to it is answered, where that differs from `in`. */
    ping?: boolean;
    mapping?: "charon" | "virtual";
}

const dropping = "table inet house { chain way { type filter hook forward priority 0; policy drop; RULES\n}\n}";
const table = (rules: string) => `nft -f - <<END\n${dropping.replace("RULES", rules)}\nEND`;
const noTable = "nft delete table inet house";
const iptablesAll = (command: string) => `for p in ${command}; do $p -P FORWARD ACCEPT; $p -F; $p -X; done`;

/** What dockerd 26 (Debian 13) writes for one bridge, and for a port that a container publishes; from its iptables-save. */
const dockerRules = `iptables-restore <<END
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
END`;
const dockerUser = "iptables -I DOCKER-USER -i charon0 -j ACCEPT; iptables -I DOCKER-USER -o charon0 -j ACCEPT";
const noDocker = "iptables -P FORWARD ACCEPT; iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X";
const noDaemon = `systemctl stop docker.socket docker containerd; systemctl reset-failed docker; ${noDocker}; ip link del docker0
sysctl -qw net.ipv4.ip_forward=1`;
const published = "iptables -t nat -A DOCKER -d 203.0.113.10/32 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80";

const network = (mode: string) => `cat > /root/net.xml <<END
<network><name>lab</name><bridge name="virbr7" stp="off"/><forward mode="${mode}"/><dns enable="no"/><ip address="192.168.150.1" prefix="24"/></network>
END
virsh -q net-create /root/net.xml
ip netns add virtual; ip link add virtual0 type veth peer name eth0 netns virtual; ip link set virtual0 up master virbr7
ip -n virtual link set lo up; ip -n virtual link set eth0 up; ip -n virtual address add 192.168.150.2/24 dev eth0
ip -n virtual route add default via 192.168.150.1
until ip netns exec virtual ping -q -c 1 -W 1 192.168.150.1 > /dev/null; do :; done`;
const noNetwork = "ip link del virtual0; virsh -q net-destroy lab; ip netns del virtual";

// libvirt's first: once it has made its chains it believes that they are there, and others flush them.
export const cases: readonly Case[] = [
    {
        firewall: "a network of libvirt with its own NAT", on: "bookworm", set: network("nat"), clear: noNetwork, mapping: "virtual",
        says: [/^libvirt drops connections from outside to the guest \(ip6? ?\S* \w+: .*(reject|REJECT).*\)\.$/], in: false, out: true,
    },
    {
        firewall: "an open network of libvirt", on: "all", set: network("open"), clear: noNetwork, mapping: "virtual",
        says: [], in: true, out: true,
    },
    {
        firewall: "a network of libvirt that the guest is not in", on: "all", set: network("nat"), clear: noNetwork,
        says: [], in: true, out: true,
    },
    {
        firewall: "a table of the house that drops what no rule accepts", on: "forky", set: table(""), clear: noTable,
        says: [/^The firewall drops all packets to and from the guest \(inet house way: policy drop\)\.$/], in: false, out: false,
    },
    {
        firewall: "the same, which accepts the guest's device both ways", on: "forky", clear: noTable,
        set: table("iifname \"charon*\" accept; ct state vmap { established : accept, related : accept, invalid : drop }; ip daddr 10.0.0.0/24 accept;"),
        says: [], in: true, out: true,
    },
    {
        firewall: "the same, which accepts the guest's own connections alone", on: "forky", clear: noTable,
        set: table("ct state established,related accept; iifname { \"charon0\", \"styx0\" } accept;"),
        says: [/^The firewall drops connections from outside to the guest \(inet house way: policy drop\)\.$/], in: false, out: true,
    },
    {
        firewall: "the same, which accepts one port", on: "forky", clear: noTable,
        set: table("ct state established,related accept; iifname charon0 accept; tcp dport 7000 accept"), ping: false,
        says: [/^Only what a rule accepts passes the firewall; the rest is dropped \(inet house way: policy drop\)\.$/],
        in: true, out: true,
    },
    {
        firewall: "iptables with policy DROP", on: "forky", set: "iptables-nft -P FORWARD DROP", clear: iptablesAll("iptables-nft"),
        says: [/^The firewall drops all packets to and from the guest \(ip filter FORWARD: policy drop\)\.$/], in: false, out: false,
    },
    {
        firewall: "iptables that rejects what comes from the guest by a chain", on: "bookworm", clear: iptablesAll("iptables-nft"),
        set: "iptables-nft -N leaving; iptables-nft -A FORWARD -i charon+ -m conntrack --ctstate NEW -j leaving; iptables-nft -A leaving -j REJECT",
        says: [/^The firewall drops connections of the guest to the outside \(ip filter leaving: -j REJECT --reject-with [-a-z]*\)\.$/],
        in: true, out: false,
    },
    {
        firewall: "iptables-legacy with policy DROP, which nft does not see", on: "forky", set: "iptables-legacy -P FORWARD DROP",
        clear: iptablesAll("iptables-legacy"),
        says: [/^The firewall drops all packets to and from the guest \(iptables-legacy -t filter FORWARD: policy drop\)\.$/],
        in: false, out: false,
    },
    {
        firewall: "iptables-legacy with rules for the guest", on: "forky", clear: iptablesAll("iptables-legacy"),
        set: "iptables-legacy -P FORWARD DROP; iptables-legacy -A FORWARD -i charon0 -j ACCEPT; iptables-legacy -A FORWARD -d 10.0.0.2 -j ACCEPT",
        says: [], in: true, out: true,
    },
    {
        firewall: "Docker's rules", on: "forky", set: dockerRules, clear: noDocker,
        says: [/^Docker drops all packets to and from the guest \(ip filter FORWARD: policy drop\)\.$/], in: false, out: false,
    },
    {
        firewall: "Docker's rules with the cure that the page names", on: "forky", set: `${dockerRules}\n${dockerUser}`, clear: noDocker,
        says: [], in: true, out: true,
    },
    {
        firewall: "Docker's rules with a port published at this very address", on: "forky", clear: noDocker,
        set: `${dockerRules}\n${dockerUser}; ${published}`, in: true, out: true,
        says: [/^A rule of Docker sends packets for 203\.0\.113\.10 to 172\.17\.0\.2:80 \(ip nat DOCKER: .*--dport 8080 .*\)\./],
    },
    {
        // dockerd sets the policy when it is the one that switches forwarding on.
        firewall: "Docker's daemon", on: "all", packages: ["docker.io"], set: "sysctl -qw net.ipv4.ip_forward=0; systemctl start docker",
        clear: noDaemon,
        says: [/^Docker drops all packets to and from the guest \(ip filter FORWARD: policy drop\)\.$/], in: false, out: false,
    },
    {
        firewall: "Docker's daemon with the cure that the page names", on: "all", packages: ["docker.io"],
        set: `sysctl -qw net.ipv4.ip_forward=0; systemctl start docker; ${dockerUser}`, clear: noDaemon,
        says: [], in: true, out: true,
    },
    {
        firewall: "Docker's daemon on a host that forwards already", on: "all", packages: ["docker.io"],
        set: "systemctl start docker", clear: noDaemon,
        says: [], in: true, out: true,
    },
    {
        firewall: "ufw", on: "bookworm", packages: ["ufw"], set: "ufw --force enable", clear: "ufw --force reset",
        says: [/^Only what a rule accepts passes ufw; the rest is dropped \(ip filter FORWARD: policy drop\)\.$/],
        in: false, out: false, ping: true,
    },
    {
        firewall: "ufw with the cure that the page names", on: "bookworm", packages: ["ufw"], clear: "ufw --force reset",
        set: "ufw --force enable; ufw route allow in on eth0 out on charon0; ufw route allow in on charon0 out on eth0",
        says: [], in: true, out: true,
    },
    {
        firewall: "firewalld", on: "trixie", packages: ["firewalld"], set: "systemctl start firewalld", clear: "systemctl stop firewalld",
        says: [/^firewalld drops connections of the guest to the outside \(inet firewalld filter_FORWARD\w*: reject\)\.$/],
        in: true, out: false,
    },
    {
        firewall: "firewalld with the cure that the page names", on: "trixie", packages: ["firewalld"], clear: "systemctl stop firewalld",
        set: "systemctl start firewalld; firewall-cmd -q --permanent --zone=public --add-interface=eth0 --add-interface=charon0; "
            + "firewall-cmd -q --permanent --zone=public --add-forward; firewall-cmd -q --reload",
        says: [], in: true, out: true,
    },
];
