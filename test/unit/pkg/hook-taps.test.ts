// SPDX-License-Identifier: LGPL-2.1-or-later
// How libvirt's hook reads definitions: with awk, of which every distribution has another.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const [taps = ""] = /^taps\(\) \{\n[^]*?\n\}\n/m.exec(readFileSync("pkg/host/50-kvm-tap", "utf8")) ?? [];
const installed = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const awks = ["awk", "gawk --posix", "mawk", "busybox awk", "original-awk"].filter(awk => installed(awk.split(" ")[0] ?? ""));

function read(awk: string, xml: string): string[] {
    const { stdout, stderr } = spawnSync("sh", ["-c", `${taps.replace(/\bawk '/, `${awk} '`)}\ntaps`], { input: xml, encoding: "utf8" });
    expect(stderr).toBe("");
    return stdout.split("\n").filter(line => line !== "");
}

const inDevices = (inside: string) => `<domain type='kvm'>\n  <name>charon</name>\n  <devices>\n${inside}\n  </devices>\n</domain>\n`;
const ethernet = (inside: string) => inDevices(`<interface type='ethernet'>\n${inside}\n</interface>`);

const cases: [string, string, string[]][] = [
    ["as libvirt writes it", ethernet("<mac address='52:54:00:25:6f:3f'/>\n<target dev='tap0' managed='no'/>"), ["tap0 no"]],
    ["without managed", ethernet("<target dev='tap0'/>"), ["tap0 yes"]],
    ["managed yes", ethernet("<target dev='tap0' managed='yes'/>"), ["tap0 yes"]],
    ["double quotes, another order, blanks, line ends", ethernet('<target\n\tmanaged = "no"\r\n dev= "tap0" ></target>'), ["tap0 no"]],
    ["a quote of the other kind in a value before it", ethernet(`<script path="/bin/a'b>c"/><target dev='tap0' managed='no'/>`), ["tap0 no"]],
    ["names with everything that is allowed", ethernet("<target dev='_a-B.9' managed='no'/>"), ["_a-B.9 no"]],
    ["several, with other types between", inDevices(`<interface type='ethernet'><target dev='a' managed='no'/></interface>
        <interface type='bridge'><source bridge='br0'/><target dev='vnet3'/></interface>
        <interface type="ethernet"><target dev="b"/></interface>`), ["a no", "b yes"]],
    ["no target, then one of another device", inDevices("<interface type='ethernet'/><interface type='ethernet'></interface><disk><target dev='vda'/></disk>"), []],
    ["a target of something inside the interface", ethernet("<x><target dev='tap0' managed='no'/></x>"), []],
    ["names that no device of ours can have", inDevices(["-h", "a;reboot", "a b", "$(id)", "../x", "abcdefghijklmnop", "", "ta&amp;p"]
        .map(name => `<interface type='ethernet'><target dev='${name}' managed='no'/></interface>`).join("\n")), []],
    ["comments", `<!--\nWARNING: <interface type='ethernet'><target dev='x' managed='no'/></interface> virsh edit\n-->\n${
        ethernet("<!-- <target dev='x'/> --><target dev='tap0' managed='no'/><!----><!-- > -- < -->")}`, ["tap0 no"]],
    ["CDATA, processing instructions, a document type", `<?xml version='1.0'?><!DOCTYPE domain>${
        ethernet("<?x <target dev='x'/> ?><![CDATA[ <target dev='x'/> ]]><target dev='tap0' managed='no'/>")}`, ["tap0 no"]],
    ["metadata of others", inDevices("<interface type='ethernet'><target dev='tap0'/></interface>").replace("<devices>",
        "<metadata><q:x xmlns:q='u'><devices><interface type='ethernet'><target dev='tap0' managed='no'/></interface></devices></q:x></metadata><devices>"),
    ["tap0 yes"]],
    ["a definition that is cut off", ethernet("<target dev='tap0' managed='no'/>").slice(0, 90), []],
    ["nothing", "", []],
];

describe.each(awks)("%s", awk => {
    test.each(cases)("%s", (_, xml, expected) => expect(read(awk, xml)).toEqual(expected));
});
