// SPDX-License-Identifier: LGPL-2.1-or-later
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { guestOf, pairInterfaces, parseDefinition, parseInterface } from "../../../src/model/guest.ts";
import type { GuestReading } from "../../../src/model/guest.ts";

const charon = `<domain type='kvm' id='7'>
  <name>charon &amp; styx</name>
  <uuid>08a3af0e-f145-54c6-30a2-efdab5478523</uuid>
  <metadata>
    <app:x xmlns:app="urn:x" a=">"><devices><interface type='ethernet'><target dev='no'/></interface></devices></app:x>
  </metadata>
  <!-- <devices><interface type='ethernet'/></devices> -->
  <description><![CDATA[<interface type='bridge'>]]></description>
  <on_poweroff>destroy</on_poweroff>
  <on_crash>restart</on_crash>
  <devices>
    <interface type='ethernet'>
      <mac address='52:54:00:25:6F:3f'/>
      <source><ip address='10.9.8.1' prefix='24'/><ip address='fd00::1'/></source>
      <script path='/bin/true'/>
      <target dev='charon_pvnet1' managed='no'/>
      <model type='virtio'/>
      <driver name='vhost' queues='4'/>
      <link state='down'/>
      <mtu size='1400'/>
      <alias name='net0'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x0a' function='0x1'/>
    </interface>
    <hostdev><interface type='x'/></hostdev>
    <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>
    <interface/>
  </devices>
</domain>`;

const reading: GuestReading = { uuid: "u", state: "running", persistent: true, autostart: false, managedSave: false };

describe("parseDefinition", () => {
    test("reads what an interface says, and only interfaces of the guest", () => {
        const { interfaces, ...rest } = parseDefinition(charon);
        expect(rest).toMatchObject({
            name: "charon & styx", uuid: "08a3af0e-f145-54c6-30a2-efdab5478523", type: "kvm",
            on: { poweroff: "destroy", reboot: "restart", crash: "restart" },
        });
        expect(interfaces).toHaveLength(3);
        expect(interfaces[0]).toEqual({
            index: 0, type: "ethernet", mac: "52:54:00:25:6f:3f", target: "charon_pvnet1", managed: "no", model: "virtio", queues: 4,
            script: "/bin/true", mtu: 1400, linkState: "down", sourceIps: ["10.9.8.1", "fd00::1"], alias: "net0",
            pci: { domain: 0, bus: 1, slot: 10, function: 1 },
            xml: charon.slice(charon.indexOf("<interface type='ethernet'>\n      <mac"), charon.indexOf("</interface>\n    <hostdev") + 12),
        });
        expect(interfaces[1]).toMatchObject({ index: 1, type: "bridge", source: "br0", sourceIps: [] });
        expect(interfaces[2]).toEqual({ index: 2, type: "", sourceIps: [], xml: "<interface/>" });
    });

    test("every element is optional", () => {
        expect(parseDefinition("<domain/>")).toEqual({
            xml: "<domain/>", interfaces: [], on: { poweroff: "destroy", reboot: "restart", crash: "destroy" },
        });
    });

    test.each([
        ["", "no element"],
        ["<network/>", "no <domain>"],
        ["<domain><devices>", "<domain> is not closed"],
        ["<domain><a></b></domain>", "</b> does not match"],
        ["<domain", "is not closed"],
        ["<domain><!-- </domain>", "no --> after"],
    ])("%j is refused", (xml, words) => expect(() => parseDefinition(xml)).toThrow(words));

    test("whatever text stands in a description, the interfaces stay the same", () => {
        fc.assert(fc.property(fc.string(), text => {
            const cdata = charon.replace("<interface type='bridge'>]]>", () => `${text.replace(/\]\]>/g, "")}]]>`);
            expect(parseDefinition(cdata).interfaces).toHaveLength(3);
        }));
    });
});

describe("guestOf", () => {
    test("a definition that cannot be read is the guest's problem, not an exception", () => {
        const guest = guestOf({ ...reading, live: charon, configured: "<domain>" });
        expect(guest.problem?.args).toEqual(["<domain> is not closed"]);
        expect(guest.live?.interfaces).toHaveLength(3);
        expect(guest).not.toHaveProperty("configured");
        expect(guest).toMatchObject({ name: "charon & styx", type: "kvm" });
    });

    test("a guest of which nothing is known has its UUID for a name", () => {
        expect(guestOf(reading)).toEqual({ ...reading, name: "u", type: "" });
    });
});

describe("pairInterfaces", () => {
    const nic = (mac: string, slot?: number) => `<interface type='ethernet'><mac address='${mac}'/>`
        + (slot === undefined ? "" : `<address type='pci' slot='${slot}'/>`) + "</interface>";
    const pairs = (configured: string[], live: string[]) => {
        const domain = (nics: string[]) => `<domain><devices>${nics.join("")}</devices></domain>`;
        const found = pairInterfaces(guestOf({ ...reading, configured: domain(configured), live: domain(live) }));
        return found.map(pair => `${pair.configured?.index ?? "-"}:${pair.live?.index ?? "-"}`).join(" ");
    };

    test.each([
        ["same order", [nic("a", 1), nic("b", 2)], [nic("a", 1), nic("b", 2)], "0:0 1:1"],
        ["another order", [nic("a", 1), nic("b", 2)], [nic("b", 2), nic("a", 1)], "0:1 1:0"],
        ["a duplicate MAC is told apart by its address", [nic("a", 1), nic("a", 2)], [nic("a", 2), nic("a", 1)], "0:1 1:0"],
        ["without an address the MAC decides", [nic("a")], [nic("a", 1)], "0:0"],
        ["another address is another interface", [nic("a", 1)], [nic("a", 2)], "0:- -:0"],
        ["plugged in live only", [nic("a", 1)], [nic("a", 1), nic("c", 3)], "0:0 -:1"],
        ["configured only", [nic("a", 1), nic("b", 2)], [nic("b", 2)], "0:- 1:0"],
        ["the exact match wins over the loose one", [nic("a"), nic("a", 2)], [nic("a", 2), nic("a", 1)], "0:1 1:0"],
    ])("%s", (_what, configured, live, expected) => expect(pairs(configured, live)).toBe(expected));
});

test("entities in values are decoded", () => {
    expect(parseInterface("<interface type='ethernet'><script path='/a&lt;&#x41;&#66;&quot;&nope;'/></interface>").script).toBe("/a<AB\"&nope;");
});
