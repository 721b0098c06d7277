// SPDX-License-Identifier: LGPL-2.1-or-later
import fc from "fast-check";
import { canonicalXml, editXml, sameXml, withAttribute, withoutChild } from "../../../src/model/interface-xml.ts";
import { convertedTo, formOf, hasLivePart, liveWish, newInterface, tookOver, withFields } from "../../../src/model/interface-form.ts";
import type { InterfaceField } from "../../../src/model/interface-form.ts";
import { encodeXml, parseElement, writeElement } from "../../../src/model/xml.ts";

const charon = `<interface type='ethernet'>
      <mac address='52:54:00:25:6f:3f'/>
      <script path='/bin/true'/>
      <target dev='charon_pvnet1'/>
      <model type='virtio'/>
    </interface>`;

const strange = `<interface type='bridge' xmlns:me='urn:me'>
  <!-- mine -->
  <mac address='52:54:00:25:6f:3f'/>
  <source bridge='br0'/>
  <target dev='vnet7'/>
  <me:note level='1'>keep &amp; <me:b/> this</me:note>
  <virtualport type='openvswitch'><parameters interfaceid='09b11c53'/></virtualport>
  <filterref filter='clean-traffic'><parameter name='IP' value='10.0.0.2'/></filterref>
  <driver name='vhost'><host csum='off'/></driver>
  <unknown of='us'/>
</interface>`;

const charonLines = charon.split("\n");

test.each<[string, Partial<Record<InterfaceField, string>>, number, number, readonly string[]]>([
    ["nothing", {}, 0, 0, []],
    ["the same value", { target: "charon_pvnet1" }, 0, 0, []],
    ["an attribute beside another", { managed: "no" }, 3, 1, ["      <target dev='charon_pvnet1' managed='no'/>"]],
    ["the last attribute takes its element along", { script: "" }, 2, 1, []],
    ["a new element comes last", { mtu: "1400" }, 5, 0, ["      <mtu size='1400'/>"]],
    ["a PCI address in one text", { pci: "0000:01:1f.7" }, 5, 0,
        ["      <address type='pci' domain='0x0000' bus='0x01' slot='0x1f' function='0x7'/>"]],
    ["a value with everything in it", { alias: `ua-<"'&>` }, 5, 0, ["      <alias name='ua-&lt;&quot;&apos;&amp;&gt;'/>"]],
])("a changed field changes only its lines: %s", (_title, fields, at, removed, added) => {
    expect(withFields(charon, fields).split("\n")).toEqual([...charonLines.slice(0, at), ...added, ...charonLines.slice(at + removed)]);
});

test("nested fields make and remove what is around them", () => {
    const limited = withFields(charon, { inAverage: "1000" });
    expect(limited).toContain("<bandwidth><inbound average='1000'/></bandwidth>");
    expect(withFields(limited, { inAverage: "" })).toBe(charon);
});

test("what no field knows survives a change", () => {
    const changed = withFields(strange, { mac: "52:54:00:00:00:01", queues: "4" });
    expect(changed).toBe(strange.replace("25:6f:3f", "00:00:01").replace("<driver name='vhost'>", "<driver name='vhost' queues='4'>"));
});

test("to ethernet and back", () => {
    const ethernet = convertedTo(strange, "ethernet");
    expect(formOf(ethernet)).toMatchObject({ type: "ethernet", managed: "no", target: "", bridge: "", mac: "52:54:00:25:6f:3f", filter: "clean-traffic" });
    expect(ethernet).not.toMatch(/virtualport|vnet7|br0/);
    expect(ethernet).toContain("<me:note level='1'>keep &amp; <me:b/> this</me:note>");
    const back = convertedTo(withFields(ethernet, { target: "tap0" }), "bridge");
    expect(formOf(back)).toMatchObject({ type: "bridge", target: "", managed: "" });
    expect(convertedTo(charon, "ethernet")).toBe(charon);
});

test("converted back, what belongs to the type comes back, and nothing else of how it was", () => {
    const ethernet = withFields(convertedTo(strange, "ethernet"), { target: "tap0", model: "e1000", filter: "" });
    const back = convertedTo(ethernet, "bridge", [ethernet, charon, strange]);
    expect(formOf(back)).toMatchObject({ type: "bridge", bridge: "br0", target: "vnet7", model: "e1000", filter: "" });
    expect(back).toContain("<virtualport type='openvswitch'><parameters interfaceid='09b11c53'/></virtualport>");
    expect(formOf(convertedTo(back, "ethernet", [back, ethernet, charon]))).toMatchObject({ target: "tap0", managed: "no", script: "", model: "e1000" });
    expect(formOf(convertedTo(back, "network", [ethernet]))).toMatchObject({ type: "network", network: "", target: "" });
});

const typed = ["", "0000:03:00.0", "0", "0000:", "0000:03:00.", "not an address", "0000:03:00.0:"];
test.each(typed)("a PCI address stays as it is typed: “%s”", text => {
    expect(formOf(withFields(charon, { pci: text })).pci).toBe(text);
});

test("a live update carries only what libvirt can change, and never `managed`", () => {
    const live = charon.replace("/>\n    </interface>", "/>\n      <link state='up'/>\n      <alias name='net0'/>\n    </interface>");
    const wish = withFields(charon, { managed: "no", linkState: "down", queues: "4", inAverage: "100" });
    const sent = liveWish(live, wish);
    expect(formOf(sent)).toMatchObject({ managed: "", linkState: "down", queues: "", inAverage: "100", alias: "net0" });
    expect(hasLivePart(live, wish)).toBe(false);
    expect(hasLivePart(sent, wish)).toBe(true);
    expect(hasLivePart(live, withFields(charon, { managed: "no" }))).toBe(true);
});

test.each<[string, boolean, string, string, string]>([
    ["as wished, with what libvirt adds", true, charon, withFields(charon, { managed: "no" }),
        withFields(charon, { managed: "no", alias: "net0" }).replace("</interface>", "<address type='pci' slot='0x03'/></interface>")],
    ["ignored", false, charon, withFields(charon, { managed: "no" }), charon],
    ["a removal ignored", false, charon, withFields(charon, { script: "" }), charon],
    ["case and the default link state do not matter", true, charon, withFields(charon, { mac: "52:54:00:25:6F:3F", linkState: "up" }), charon],
])("what libvirt wrote down: %s", (_title, expected, before, wish, result) => {
    expect(tookOver(before, wish, result)).toBe(expected);
});

test("a new interface", () => {
    expect(formOf(newInterface("52:54:00:00:00:01", "tap0"))).toMatchObject({ type: "ethernet", mac: "52:54:00:00:00:01", target: "tap0", managed: "no" });
});

test.each([
    ["order of attributes, quotes and white space", "<a x='1' y='2'><b/></a>", `<a y="2"\n x="1">\n <b></b> </a>`, true],
    ["a value", "<a x='1'/>", "<a x='2'/>", false],
    ["order of elements", "<a><b/><c/></a>", "<a><c/><b/></a>", false],
    ["a comment", "<a><!--b--></a>", "<a/>", false],
    ["text", "<a>b</a>", "<a> b </a>", false],
    ["no XML", "<a", "<a/>", false],
])("the same element: %s", (_title, a, b, same) => {
    expect(sameXml(a, b)).toBe(same);
});

const name = fc.stringMatching(/^([a-z]{1,2}:)?[a-z][a-z0-9_]{0,6}$/);
const value = fc.string({ unit: "binary-ascii", maxLength: 8 }).filter(text => !/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text));
const attributes = fc.dictionary(name, value, { maxKeys: 4 })
    .map(object => Object.entries(object).map(([key, text]) => ` ${key}='${encodeXml(text)}'`).join(""));
const { element } = fc.letrec<{ element: string }>(tie => ({
    element: fc.tuple(name, attributes, fc.array(fc.oneof({ maxDepth: 3 },
        fc.constantFrom("\n  ", "<!-- so -->", "a &lt; b", "<![CDATA[<x>]]>"), tie("element")), { maxLength: 4 }))
        .map(([tag, list, inside]) => inside.length > 0 ? `<${tag}${list}>${inside.join("")}</${tag}>` : `<${tag}${list}/>`),
}));

test("property: read and written, an element is the same text", () => {
    fc.assert(fc.property(element, xml => {
        expect(writeElement(parseElement(xml))).toBe(xml.replace(/<([\w:]+)([^<>]*)(?<!\/)><\/\1>/g, "<$1$2/>"));
    }));
});

test("property: an edit changes the wished attribute and nothing else", () => {
    fc.assert(fc.property(element, name, name, value, (xml, tag, attribute, text) => {
        const before = parseElement(xml);
        const edited = editXml(xml, node => withAttribute(node, [tag], attribute, text));
        const undone = withoutChild(parseElement(edited), tag);
        expect(canonicalXml(writeElement(undone))).toBe(canonicalXml(writeElement(withoutChild(before, tag))));
        expect(sameXml(edited, editXml(edited, node => withAttribute(node, [tag], attribute, text)))).toBe(true);
    }), { examples: [["<a>\n  <![CDATA[<x>]]>a &lt; b</a>", "a", "a", ""]] });
});

/** What libvirt knows, each with an attribute that no field changes, between what it does not know, in any order. */
const known = ["mac", "target", "model", "link", "mtu", "boot", "driver", "filterref", "bandwidth", "rom", "alias", "acpi"];
const foreign = fc.oneof(element, fc.constantFrom(
    "<!-- mine -->", "<me:note xmlns:me='urn:me' me:level='1'>keep &amp; <me:b/></me:note>", "<tune><sndbuf>0</sndbuf></tune>"));
const full = fc
    .tuple(fc.shuffledSubarray(known, { minLength: 3 }), fc.array(foreign, { maxLength: 4 }), attributes, fc.infiniteStream(fc.nat(1)))
    .map(([tags, others, list, coin]) => {
        const ours = tags.map(tag => `<${tag} own='x'${list}><parameter name='IP'/></${tag}>`);
        const inside = [...ours, ...others].toSorted(() => coin.next().value ? 1 : -1);
        return `<interface type='ethernet' own='x'>\n  ${inside.join("\n  ")}\n</interface>`;
    });

const someFields = fc.dictionary(fc.constantFrom<InterfaceField>("mac", "target", "managed", "model", "linkState", "mtu", "bootOrder", "queues",
    "driver", "filter", "inAverage", "outPeak", "romFile", "alias", "acpiIndex", "script", "trustGuestRxFilters"), value, { maxKeys: 6 });

test("property: changed fields read as they were set, and all else stays: unknown elements, comments, order", () => {
    const tags = (xml: string) => parseElement(xml).children.flatMap(node => node.type === "element" ? [node.tag] : []);
    const strangers = (xml: string) => parseElement(xml).children
        .filter(node => node.type === "element" ? !known.includes(node.tag) && node.tag !== "script" : node.type === "comment");
    fc.assert(fc.property(full, someFields, (xml, fields: Partial<Record<InterfaceField, string>>) => {
        const edited = withFields(xml, fields);
        expect(formOf(edited)).toMatchObject(fields);
        expect(strangers(edited)).toEqual(strangers(xml));
        expect(tags(edited).slice(0, tags(xml).length)).toEqual(tags(xml));
        const none = Object.fromEntries(Object.keys(fields).map(field => [field, ""]));
        expect(canonicalXml(withFields(edited, none))).toBe(canonicalXml(withFields(xml, none)));
    }));
});

test.each([
    ["multifunction='on'/>", "multifunction='on'"], ["><zpci uid='0x0001' fid='0x00000001'/></address>", "<zpci uid='0x0001' fid='0x00000001'/>"],
])("another PCI address keeps what else the element says: %s", (rest, kept) => {
    const xml = `<interface type='ethernet'><mac address='52:54:00:00:00:01'/><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0' ${rest}</interface>`;
    const changed = withFields(xml, { pci: "0000:07:1f.3" });
    expect(formOf(changed).pci).toBe("0000:07:1f.3");
    expect(changed).toContain(kept);
    expect(formOf(withFields(changed, { pci: "0000:0" })).pci).toBe("0000:0");
    expect(withFields(withFields(changed, { pci: "0000:0" }), { pci: "0000:01:00.0" })).toContain(kept);
});

test.each<[string, Parameters<typeof withFields>[1]]>([["PCI address", { pci: "0000:02:00.0" }], ["alias", { alias: "ua-up" }]])(
    "a change of the %s is not done before it is there", (_what, fields) => {
        const before = "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='t0'/>"
            + "<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>";
        const wish = withFields(before, fields);
        expect(tookOver(before, wish, before)).toBe(false);
        expect(tookOver(before, wish, wish)).toBe(true);
        expect(tookOver(before, wish, wish.replace("bus='0x02'", "bus='2'"))).toBe(true);
        // What nobody asked for is libvirt's to choose.
        expect(tookOver(before, before.replace(/<address.*\/>/, ""), wish)).toBe(true);
    });
