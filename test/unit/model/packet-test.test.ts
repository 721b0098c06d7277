// SPDX-License-Identifier: LGPL-2.1-or-later
// Traces as nft prints them (1.0.6 and 1.1.3), told in words. What real packets do is in test/host/nat-trace.test.ts.
import { inEnglish } from "../../../src/model/message.ts";
import { stories, type TestedMapping } from "../../../src/model/packet-test.ts";
import { tracedPackets } from "../../../src/model/packet-trace.ts";

const mapping: TestedMapping = { public: "203.0.113.10", guest: "10.0.0.2", device: "charon0", uplink: "eth0", firewalls: [] };

const syn = (id: string, port: number) => `trace id ${id} inet kvm_tap_trace first packet: iif "eth0" ether saddr 02:00:00:00:00:09 `
    + `ip saddr 192.0.2.80 ip daddr 203.0.113.10 ip ttl 63 ip protocol tcp ip length 60 tcp sport ${port} tcp dport 80 tcp flags == syn tcp window 64240 `;
const marked = (id: string) => `trace id ${id} inet kvm_tap_trace first rule ip daddr 203.0.113.10 meta nftrace set 1 (verdict continue)`;
const dnat = (id: string) => `trace id ${id} inet kvm_tap prerouting rule dnat ip to ip daddr map @public4 (verdict accept)`;
const delivered = (id: string, out = "charon0") => `trace id ${id} inet kvm_tap_trace last packet: iif "eth0" oif "${out}" `
    + "ip saddr 192.0.2.80 ip daddr 10.0.0.2 ip protocol tcp tcp sport 40000 tcp dport 80 tcp flags == syn tcp window 64240 ";
const answer = (id: string, flags: string) => `trace id ${id} inet kvm_tap_trace first packet: iif "charon0" ip saddr 10.0.0.2 `
    + `ip daddr 192.0.2.80 ip protocol tcp tcp sport 80 tcp dport 40000 tcp flags ${flags} tcp window 65160 `;
const left = (id: string, source = "203.0.113.10") => `trace id ${id} inet kvm_tap_trace last packet: iif "charon0" oif "eth0" `
    + `ip saddr ${source} ip daddr 192.0.2.80 ip protocol tcp tcp sport 80 tcp dport 40000 tcp flags == 0x12 tcp window 65160 `;

const message = (id: string) => `trace id ${id} inet kvm_tap_trace first packet: iif "charon0" ip saddr 10.0.0.2 ip daddr 192.0.2.80 `
    + "ip protocol icmp ip length 88 icmp type destination-unreachable icmp code host-prohibited icmp id 0 icmp sequence 0 ";
const messageLeft = (id: string) => `trace id ${id} inet kvm_tap_trace last packet: iif "charon0" oif "eth0" ip saddr 203.0.113.10 `
    + "ip daddr 192.0.2.80 ip protocol icmp icmp type destination-unreachable ";

/** Results of all stories, the latest first. */
function results(lines: readonly string[], tested: TestedMapping = mapping): string[] {
    return stories(lines, tested).map(({ result }) => `${result.severity}: ${inEnglish(result.says)}`);
}

test.each<[string, readonly string[], readonly string[]]>([
    ["nothing", ["# waiting", ""], []],
    ["answered", [syn("a1", 40000), marked("a1"), dnat("a1"), delivered("a1"), answer("b1", "== 0x12"), left("b1")],
        ["success: It works: the guest answered, and its answer leaves as 203.0.113.10."]],
    ["refused, flags as a number", [syn("a1", 40000), delivered("a1"), answer("b1", "== 0x14"), left("b1")],
        ["warning: The guest answers that nothing listens at port 80. The way there and back works."]],
    ["refused, flags by name", [syn("a1", 40000), delivered("a1"), answer("b1", "== rst,ack"), left("b1")],
        ["warning: The guest answers that nothing listens at port 80. The way there and back works."]],
    ["silent", [syn("a1", 40000), delivered("a1"), "# neighbour 10.0.0.2 dev charon0 lladdr 52:54:00:25:6f:3f REACHABLE"],
        ["warning: The packet was handed to the guest, which did not answer."]],
    ["not there", [syn("a1", 40000), delivered("a1"), "# neighbour 10.0.0.2 dev charon0 FAILED"],
        ["danger: The packet went out by charon0, but nobody there answers for 10.0.0.2."]],
    ["no route but the default one", [syn("a1", 40000), dnat("a1"), delivered("a1", "eth0")],
        ["danger: The packet left by eth0 again: no route leads to the guest."]],
    ["by no rule", [syn("a1", 40000), dnat("a1")],
        ["danger: The kernel dropped the packet after inet kvm_tap prerouting, by no rule of nftables."]],
    ["a policy", [syn("a1", 40000), "trace id a1 ip filter FORWARD policy drop "],
        ["danger: Dropped on the way to the guest, by ip filter FORWARD: policy drop"]],
    ["a rule of libvirt's", [syn("a1", 40000),
        "trace id a1 ip filter LIBVIRT_FWI rule oifname \"virbr0\" counter packets 3 bytes 180 reject (verdict drop)"],
        ["danger: Dropped on the way to the guest by libvirt: ip filter LIBVIRT_FWI: oifname \"virbr0\" reject"]],
    ["the answer", [syn("a1", 40000), delivered("a1"), answer("b1", "== 0x12"),
        "trace id b1 inet house way rule ip saddr 10.0.0.2 drop (verdict drop)"],
        ["danger: Dropped on the way out, by inet house way: ip saddr 10.0.0.2 drop"]],
    ["what the guest sends by itself, with a wrong address", [answer("b1", "== syn"), left("b1", "203.0.113.1")],
        ["warning: What the guest sends leaves by eth0 with the address 203.0.113.1."]],
    ["an answer that nothing translated", [syn("a1", 40000), delivered("a1"), answer("b1", "== 0x12"), left("b1", "10.0.0.2")],
        ["danger: Dropped at eth0 by the guard of KVM TAP: nothing translated the private source address 10.0.0.2."]],
    ["what the guest sends by itself, translated by nothing", [answer("b1", "== syn"), left("b1", "10.0.0.2")],
        ["danger: Dropped at eth0 by the guard of KVM TAP: nothing translated the private source address 10.0.0.2."]],
    ["held, since nothing translated it", [syn("a1", 40000), delivered("a1", "kvm-tap-hold")],
        ["danger: Dropped by this host, which holds 203.0.113.10: nothing translated the packet."]],
    ["refused by a message, which has no ports", [syn("a1", 40000), delivered("a1"), message("b1"), messageLeft("b1")],
        ["warning: The guest refuses it (destination-unreachable). The way there and back works."]],
    ["a message of the guest's about nothing that was seen", [message("b1"), messageLeft("b1")],
        ["info: What the guest sends leaves by eth0 as 203.0.113.10; no answer was seen."]],
    ["two connections, the latest first", [syn("a1", 40000), "trace id a1 ip filter FORWARD policy drop", syn("a2", 40001), delivered("a2")],
        ["warning: The packet was handed to the guest, which did not answer.",
            "danger: Dropped on the way to the guest, by ip filter FORWARD: policy drop"]],
])("%s", (_name, lines, told) => {
    expect(results(lines)).toEqual(told);
});

test("an identifier that comes again is another packet", () => {
    const lines = [syn("a1", 40000), marked("a1"), delivered("a1"), syn("a1", 40001), marked("a1"), "trace id a1 ip filter FORWARD policy drop"];
    expect(tracedPackets(lines).map(({ from, passed, steps }) => ({ from, passed, steps: steps.length })))
        .toEqual([{ from: "40000", passed: true, steps: 0 }, { from: "40001", passed: false, steps: 1 }]);
});

test("a rule of iptables-legacy is not in the trace: that is said", () => {
    const legacy: TestedMapping = {
        ...mapping, firewalls: [{ family: "ip", table: "filter", by: "iptables-legacy", bases: [], chains: new Map() }],
    };
    expect(stories([syn("a1", 40000), dnat("a1")], legacy).map(({ result }) => result.cure && inEnglish(result.cure)))
        .toEqual([expect.stringContaining("iptables-legacy-save")]);
});

test.each(["reached", "private", "untranslated", "spoofed", "limits", "prerouting"])("a drop in our own chain %s is explained in a sentence", chain => {
    const [story] = stories([syn("a1", 40000), `trace id a1 inet kvm_tap ${chain} rule counter packets 1 bytes 60 drop (verdict drop)`], mapping);
    expect(story?.result.cure && inEnglish(story.result.cure)).toMatch(/^[A-Z].+\.$/);
});
