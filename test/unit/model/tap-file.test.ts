// SPDX-License-Identifier: LGPL-2.1-or-later
// `.tap` files: read, edited so that only changed lines change, compared with what runs.
import fc from "fast-check";
import { editTapFile, parseTapFile, writeTapFile } from "../../../src/model/tap-file.ts";
import { changeCommands, driftOf, needsNewDevice, settingsOf, takenOver, type TapSettings } from "../../../src/model/tap-settings.ts";
import type { TapDevice } from "../../../src/model/tap.ts";

const charon = `# description: charon's device
tuntap add dev charon_pvnet1 mode tap
link set dev charon_pvnet1 addrgenmode none
link set dev charon_pvnet1 up
address replace 169.254.0.1/32 dev charon_pvnet1
route replace 10.0.0.2/32 dev charon_pvnet1
`;

const settings: fc.Arbitrary<TapSettings> = fc.record({
    name: fc.constant("x.y-1"),
    multiQueue: fc.boolean(),
    addresses: fc.uniqueArray(fc.constantFrom("169.254.0.1/32", "fe80::1/64", "192.0.2.1/24")),
    routes: fc.uniqueArray(fc.constantFrom(
        { destination: "10.0.0.2/32" }, { destination: "2001:db8::2/128" }, { destination: "192.168.7.0/24", via: "10.0.0.2", metric: 7 },
        { destination: "default", via: "10.0.0.2", source: "192.0.2.1", table: "100" },
    )),
}, { requiredKeys: ["name", "multiQueue", "addresses", "routes"] }).chain(base => fc.record({
    description: fc.constantFrom("a router's device", "ü # 1"), owner: fc.constantFrom("libvirt-qemu", "1000"), group: fc.constant("kvm"),
    mac: fc.constant("02:11:22:33:44:55"), mtu: fc.integer({ min: 68, max: 65521 }), addrGenMode: fc.constantFrom("none", "eui64"), up: fc.boolean(),
}, { requiredKeys: [] }).map(more => ({ ...base, ...more })));

const foreign = fc.array(fc.constantFrom<string[]>("# mine", "", "link set dev x.y-1 txqueuelen 500", "neigh add 10.0.0.2 lladdr 02:00:00:00:00:01 dev x.y-1",
    "address add 10.1.1.1 peer 10.1.1.2 dev x.y-1", "link set dev other up"));

test("our own files are read as they are written", () => {
    fc.assert(fc.property(settings, wanted => {
        expect(parseTapFile(writeTapFile(wanted), wanted.name)).toEqual({ settings: wanted, foreign: [], makes: true });
    }));
});

test("an edit says what is wished, keeps what it does not understand, and changes nothing that says it already", () => {
    fc.assert(fc.property(settings, settings, foreign, fc.nat(), (before, after, lines, at) => {
        const own = writeTapFile(before).split("\n").slice(0, -1);
        const where = at % (own.length + 1);
        const content = [...own.slice(0, where), ...lines, ...own.slice(where)].map(line => `${line}\n`).join("");
        expect(editTapFile(content, before)).toBe(content);
        const edited = editTapFile(content, after);
        const { addresses, routes, ...single } = parseTapFile(edited, after.name).settings;
        expect({ ...single, addresses: [...addresses].sort(), routes: routes.map(route => JSON.stringify(route)).sort() }).toEqual(
            { ...after, addresses: [...after.addresses].sort(), routes: after.routes.map(route => JSON.stringify(route)).sort() });
        expect(edited.split("\n").filter(line => lines.includes(line) && line !== "")).toEqual(lines.filter(line => line !== ""));
    }));
});

test.each([
    ["words in short", "tuntap add dev x mode tap\nl s dev x mtu 1400 up\na add 10.0.0.1/24 dev x\nr add 10.0.0.2 dev x\n",
        { mtu: 1400, up: true, addresses: ["10.0.0.1/24"], routes: [{ destination: "10.0.0.2/32" }] }],
    ["a line that goes on", "tuntap add dev x \\\n  mode tap multi_queue\n", { multiQueue: true }],
    ["a later line replaces an earlier one", "tuntap add dev x mode tap\nlink set dev x up\nlink set dev x down # for now\n", { up: false }],
    ["no newline at the end", "tuntap add dev x mode tap user 1000", { owner: "1000" }],
])("files by hand: %s", (_what, content, says) => {
    const file = parseTapFile(content, "x");
    expect(file).toMatchObject({ settings: says, foreign: [], makes: true });
});

test.each(["ends with \\", "\\", " \\ \\\\ ", "a\\b", "C:\\"])("a description %j hides no line, and never ends with a backslash", description => {
    const wanted: TapSettings = { name: "x", description, multiQueue: true, owner: "root", addresses: [], routes: [] };
    const content = writeTapFile(wanted);
    expect(content).not.toMatch(/\\\n/);
    expect(parseTapFile(content, "x")).toMatchObject({ settings: { multiQueue: true, owner: "root" }, makes: true });
    const edited = editTapFile(content, { ...wanted, mtu: 1400 });
    expect(edited.match(/tuntap add/g)).toHaveLength(1);
    expect(editTapFile(edited, { ...wanted, mtu: 1400 })).toBe(edited);
});

test.each([
    ["a comment with a backslash", "# one \\\ntuntap add dev x mode tap multi_queue user root\n", { multiQueue: true, owner: "root" }, []],
    ["a description with one, by hand", "# description: win\\\ntuntap add dev x mode tap user root\n", { description: "win", owner: "root" }, []],
    ["one behind a command", "tuntap add dev x mode tap\naddress add 10.0.0.1/32 dev x # y \\\nlink set dev x mtu 1400\n",
        { addresses: ["10.0.0.1/32"], mtu: 1400 }, []],
    ["halves of a word", "tuntap add dev x mode tap\nlink set dev x m\\\ntu 1400\n", { mtu: 1400 }, []],
    ["a last line that goes on nowhere", "tuntap add dev x mode tap\nlink set dev x mtu 1400 \\\n", {}, ["link set dev x mtu 1400 \\"]],
    ["no address", "tuntap add dev x mode tap\naddress add 10.0.0/24 dev x\nroute add a/b dev x\n", { addresses: [], routes: [] },
        ["address add 10.0.0/24 dev x", "route add a/b dev x"]],
    ["a blank that is none to ip", "tuntap add dev x mode tap\nlink set dev x\u00a0mtu 1400\n", {}, ["link set dev x\u00a0mtu 1400"]],
])("lines as ip reads them: %s", (_what, content, says, foreign) => {
    const file = parseTapFile(content, "x");
    expect(file).toMatchObject({ settings: says, foreign, makes: true });
    const edited = editTapFile(content, { ...file.settings, addrGenMode: "none" });
    expect(parseTapFile(edited, "x")).toEqual({ ...file, settings: { ...file.settings, addrGenMode: "none" } });
});

test("only the changed line changes", () => {
    const before = parseTapFile(charon, "charon_pvnet1").settings;
    expect(editTapFile(charon, { ...before, addresses: ["169.254.0.2/32"], routes: [...before.routes, { destination: "10.0.0.3/32" }] })).toBe(
        charon.replace("169.254.0.1", "169.254.0.2") + "route replace 10.0.0.3/32 dev charon_pvnet1\n");
});

const device: TapDevice = {
    index: 7, name: "x", kind: "tun", mac: "02:aa:bb:cc:dd:ee", mtu: 1500, up: true, carrier: false, addrGenMode: "eui64",
    tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true, owner: "root" },
};

test("a running device without what the kernel adds", () => {
    const running = settingsOf(device, [
        { family: "inet", address: "10.0.0.1", prefix: 24, scope: "global" }, { family: "inet6", address: "fe80::1", prefix: 64, scope: "link" },
    ], [
        { family: "inet", destination: "10.0.0.0/24", type: "unicast", table: "main", device: "x", protocol: "kernel" },
        { family: "inet", destination: "10.0.0.1", type: "local", table: "local", device: "x", protocol: "kernel" },
        { family: "inet6", destination: "2001:db8::2", type: "unicast", table: "main", device: "x", protocol: "boot", metric: 1024 },
        { family: "inet", destination: "10.7.0.0/16", type: "unicast", table: "main", device: "y", protocol: "boot" },
    ]);
    expect(running).toMatchObject({ addresses: ["10.0.0.1/24"], routes: [{ destination: "2001:db8::2/128" }], owner: "root", mtu: 1500, up: true });
    const file: TapSettings = { name: "x", multiQueue: false, owner: "0", addresses: ["10.0.0.1/24"], routes: [] };
    expect(driftOf(file, running)).toEqual([{ what: "route", kernel: "2001:db8::2/128" }]);
    expect(driftOf(takenOver(file, running), running)).toEqual([]);
    expect(takenOver(file, running)).not.toHaveProperty("mac");
});

test("the commands of a change and those of its opposite", () => {
    const before: TapSettings = { name: "x", multiQueue: false, mtu: 1500, up: true, addresses: ["10.0.0.1/32"], routes: [{ destination: "10.0.0.2/32" }] };
    const after: TapSettings = { ...before, mtu: 1400, addresses: ["10.0.0.9/32"], routes: [{ destination: "10.0.0.3/32", via: "10.0.0.2" }] };
    expect(changeCommands(before, after)).toEqual([
        "route delete 10.0.0.2/32 dev x", "address delete 10.0.0.1/32 dev x", "link set dev x mtu 1400",
        "address replace 10.0.0.9/32 dev x", "route replace 10.0.0.3/32 via 10.0.0.2 dev x",
    ]);
    expect(changeCommands(before, before)).toEqual([]);
    expect(needsNewDevice(before, after)).toBe(false);
    expect(needsNewDevice(before, { ...before, multiQueue: true })).toBe(true);
});

test("a device that is down as its file says lacks what the kernel takes away, which is no drift", () => {
    const file: TapSettings = { name: "x", multiQueue: false, up: false, addresses: ["10.0.0.1/32", "fe80::1/64"], routes: [{ destination: "10.0.0.2/32" }] };
    const down: TapSettings = { name: "x", multiQueue: false, mtu: 1500, up: false, addresses: ["10.0.0.1/32"], routes: [] };
    expect(driftOf(file, down)).toEqual([]);
    expect(driftOf(file, { ...down, addresses: [] })).toEqual([{ what: "address", file: "10.0.0.1/32" }]);
    expect(driftOf(file, { ...down, up: true })).toEqual([
        { what: "state", kernel: "up", file: "down" }, { what: "address", file: "fe80::1/64" }, { what: "route", file: "10.0.0.2/32" },
    ]);
    expect(driftOf({ ...file, up: true }, down).map(({ what }) => what)).toEqual(["state", "address", "route"]);
});
