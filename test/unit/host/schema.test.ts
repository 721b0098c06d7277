// SPDX-License-Identifier: LGPL-2.1-or-later
// What xmllint says, as libxml2 2.9.14 and 2.15 say it; test/host/interface-schema.test.ts asks the real one.
import { findingsIn, type SchemaFinding } from "../../../src/host/schema.ts";

const xml = `<interface type='ethernet'>
  <mac address='52:54:00:00:00:01'/>
  <target dev='tap0'/>
  <driver name='vhost' qeues='4'/>
  <model type='virtio'/>
  <driver queues='4'/>
</interface>`;

const tail = `-:1: element interface: Relax-NG validity error : Invalid sequence in interleave
-:1: element interface: Relax-NG validity error : Element interface failed to validate content
- fails to validate
`;

const finding = (line: number, words: string, kind: SchemaFinding["kind"] = "schema"): SchemaFinding => ({ line, words, kind });

test.each<[string, string, SchemaFinding[]]>([
    ["nothing", "- validates\n", []],
    ["an element that is not as it should be: the last of its name", `Relax-NG validity error : Extra element driver in interleave\n${tail}`,
        [finding(6, "Extra element driver in interleave")]],
    ["an element that is unknown", "-:4: element modle: Relax-NG validity error : Element interface has extra content: modle\n- fails to validate\n",
        [finding(4, "Element interface has extra content: modle")]],
    ["a prefix", `-:2: namespace error : Namespace prefix x on mac is not defined
<x:mac address='52:54:00:00:00:01'/></interface>
                                  ^
-:2: element x:mac: Relax-NG validity error : Element interface has extra content: x:mac
`, [finding(2, "Namespace prefix x on mac is not defined"), finding(2, "Element interface has extra content: x:mac")]],
    ["only that something is wrong", "-:1: element interface: Relax-NG validity error : Element interface failed to validate content\n",
        [finding(1, "Element interface failed to validate content")]],
    ["not well-formed: the first of the consequences", `-:4: parser error : Opening and ending tag mismatch: mac line 2 and interface
</interface>
            ^
-:5: parser error : Premature end of data in tag interface line 1

^
`, [finding(4, "Opening and ending tag mismatch: mac line 2 and interface", "syntax")]],
])("%s", (_title, said, expected) => {
    expect(findingsIn(said, xml)).toEqual(expected);
});
