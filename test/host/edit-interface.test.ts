// SPDX-License-Identifier: LGPL-2.1-or-later
// Interfaces changed on real libvirt: each operation leaves everything outside the one interface as it was, the graphics password
// included, is read back as promised, and is undone by its own undo steps.
import { planInterface, planRemoveInterface } from "../../src/actions/edit-interface.ts";
import { schemaFindings, type SchemaFinding } from "../../src/host/schema.ts";
import { readNames } from "../../src/host/virsh.ts";
import { guestOf, pairInterfaces, parseDefinition } from "../../src/model/guest.ts";
import type { Guest } from "../../src/model/guest.ts";
import { convertedTo, formOf, newInterface, withFields } from "../../src/model/interface-form.ts";
import type { InterfaceField } from "../../src/model/interface-form.ts";
import { canonicalXml } from "../../src/model/interface-xml.ts";
import type { Command, FileChange, Plan, Planned } from "../../src/model/plan.ts";
import { NOTHING_READ } from "../../src/model/snapshot.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../harness/fixture.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost, until } from "../lab/host.ts";
import type { TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";

const uuid = "08a3af0e-f145-54c6-30a2-efdab5478523";
const pci = (slot: string) => `<address type='pci' domain='0x0000' bus='0x00' slot='${slot}' function='0x0'/>`;
const slot = (index: number) => `slot='0x${(0x10 + index).toString(16)}'`;
const twin = "52:54:00:00:00:01";

const interfaces = `
  <interface type='ethernet'><mac address='${twin}'/><script path='/bin/true'/><target dev='one'/><model type='virtio'/>${pci("0x10")}</interface>
  <interface type='ethernet'><mac address='${twin}'/><target dev='two'/><model type='virtio'/>${pci("0x11")}</interface>
  <interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/><model type='e1000'/>${pci("0x12")}</interface>`;
const more = `
  <interface type='network'><mac address='52:54:00:00:00:03'/><source network='default'/><model type='virtio'/>${pci("0x13")}</interface>
  <interface type='direct'><mac address='52:54:00:00:00:04'/><source dev='eth0' mode='bridge'/>${pci("0x14")}</interface>
  <interface type='user'><mac address='52:54:00:00:00:05'/><model type='rtl8139'/><boot order='2'/>${pci("0x15")}</interface>
  <!-- Two with a boot order: with none left libvirt would add <os><boot dev='hd'/> by itself. -->
  <interface type='mcast'><mac address='52:54:00:00:00:06'/><source address='230.0.0.1' port='5558'/><boot order='3'/>
    ${pci("0x16")}</interface>
  <interface type='internal'><mac address='52:54:00:00:00:07'/><source name='inside'/><model type='virtio'/>${pci("0x17")}</interface>
  <interface type='server'><mac address='52:54:00:00:00:08'/><source address='127.0.0.1' port='5560'/>${pci("0x18")}</interface>
  <interface type='client'><mac address='52:54:00:00:00:09'/><source address='127.0.0.1' port='5560'/>${pci("0x19")}</interface>
  <interface type='udp'><mac address='52:54:00:00:00:0a'/><source address='127.0.0.1' port='5561'><local address='127.0.0.1' port='5562'/></source>
    ${pci("0x1a")}</interface>
  <interface type='vhostuser'><mac address='52:54:00:00:00:0b'/><source type='unix' path='/run/vhost.sock' mode='client'/>
    <model type='virtio'/>${pci("0x1b")}</interface>
  <interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:0c'/>
    <source><address type='pci' domain='0x0000' bus='0x06' slot='0x02' function='0x0'/></source>${pci("0x1c")}</interface>
  <interface type='vdpa'><mac address='52:54:00:00:00:0d'/><source dev='/dev/vhost-vdpa-0'/>${pci("0x1d")}</interface>`;

const definition = (nics: string) => `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>charon &amp; styx</name><uuid>${uuid}</uuid><title>Über den Fluß</title>
  <metadata>
    <app:note xmlns:app="urn:example:app" level="1"><app:text>keep &lt;this&gt;</app:text></app:note>
    <other:x xmlns:other="urn:example:other"/>
  </metadata>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu><memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>restart</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>${nics}
    <graphics type='vnc' port='-1' autoport='yes' passwd='sEcr&amp;t1'/>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline><qemu:arg value='-name'/><qemu:arg value='a b,debug-threads=on'/><qemu:env name='LAB' value='1'/></qemu:commandline>
</domain>`;

/** What the planners need of a host, read whole. */
async function read(host: TestHost, of = uuid): Promise<{ snapshot: Snapshot; guest: Guest }> {
    const running = (await host.run(["virsh", "domstate", of])).trim() === "running";
    const configured = await host.run(["virsh", "dumpxml", "--inactive", of]);
    const live = running ? await host.run(["virsh", "dumpxml", of]) : undefined;
    const guest = guestOf({
        uuid: of, state: running ? "running" : "off", persistent: true, autostart: false, managedSave: false, configured,
        ...live !== undefined && { live },
    });
    const known = <T>(value: T) => ({ state: "read" as const, value });
    return {
        snapshot: {
            ...NOTHING_READ, guests: known([guest]), links: known([]), addresses: known(new Map()), routes: known([]),
            needs: known(NOTHING_NEEDED),
        },
        guest,
    };
}

const secrets = (host: TestHost) => host.run(["virsh", "dumpxml", "--inactive", "--security-info", uuid]);

/** The definition in canonical form without our interfaces. */
function outside(xml: string, isOurs: (nic: string) => boolean): string {
    const nics = parseDefinition(xml).interfaces.map(iface => iface.xml);
    return canonicalXml(nics.filter(isOurs).reduce((rest, nic) => rest.replace(nic, ""), xml));
}

function planOf(planned: Planned): Plan {
    if ("problems" in planned)
        throw new Error(`refused: ${planned.problems.map(({ field, says }) => `${field} ${says.id} ${says.args?.join()}`).join("; ")}`);
    return planned.plan;
}

async function does(host: TestHost, action: Command | FileChange | undefined): Promise<void> {
    if (action?.type !== "command")
        throw new Error("not a command");
    await host.run(action.argv, action.input);
}

async function run(host: TestHost, plan: Plan): Promise<boolean> {
    for (const step of plan.steps)
        await does(host, step.does);
    return plan.holds((await read(host)).snapshot);
}

async function undo(host: TestHost, plan: Plan): Promise<void> {
    for (const step of [...plan.steps].reverse())
        await does(host, step.undo);
}

const edit = (fields: Partial<Record<InterfaceField, string>>) => (xml: string) => withFields(xml, fields);
const convert = (type: string, fields: Partial<Record<InterfaceField, string>>) => (xml: string) =>
    withFields(convertedTo(xml, type), fields);

/** Everything on all releases with KVM_TAP_ALL=1; else each operation once on each release, and all of them on one. */
const covering = (release: string, title: string) => process.env["KVM_TAP_ALL"] === "1" || release === "trixie"
    || ["the second of two with the same MAC address", "another MAC address, of one of two that had the same", "bridge to ethernet",
        "ethernet to network"].includes(title);

/** By index of the interface: what is done to it. */
const changes: [string, number, (xml: string) => string][] = [
    ["managed='no'", 0, edit({ managed: "no", script: "" })],
    ["the second of two with the same MAC address", 1, edit({ managed: "no", linkState: "down" })],
    ["another MAC address, of one of two that had the same", 1, edit({ mac: "52:54:00:00:00:99" })],
    ["everything of the form", 0, edit({
        target: "charon_pvnet1", managed: "no", linkState: "down", mtu: "1400", bootOrder: "1", script: "/bin/true", downscript: "/bin/true",
        filter: "clean-traffic", driver: "vhost", queues: "4", rxQueueSize: "512", txMode: "iothread", eventIdx: "off", ioEventFd: "on",
        inAverage: "1000", inPeak: "5000", inBurst: "1024", outAverage: "128", romEnabled: "yes", romBar: "on", romFile: "/usr/share/x.rom",
        trustGuestRxFilters: "yes", txQueueSize: "256", packed: "on", rss: "on", rssHashReport: "on", iommu: "on", ats: "on", pagePerVq: "on",
        acpiIndex: "7",
    })],
    ["another PCI address", 0, edit({ pci: "0000:00:1e.0" })],
    ["an alias", 0, edit({ alias: "ua-uplink" })],
    ["model and MTU of a bridge's", 2, edit({ model: "virtio", mtu: "9000" })],
    ["bridge to ethernet", 2, convert("ethernet", { target: "styx0" })],
    ["network to ethernet", 3, convert("ethernet", { target: "styx0" })],
    ["direct to ethernet", 4, convert("ethernet", { target: "styx0" })],
    ["user to ethernet", 5, convert("ethernet", { target: "styx0" })],
    ["mcast to ethernet", 6, convert("ethernet", { target: "styx0" })],
    ["ethernet to bridge", 0, convert("bridge", { bridge: "br0" })],
    ["ethernet to network", 0, convert("network", { network: "default" })],
    ["ethernet to direct", 1, convert("direct", { sourceDevice: "eth0", sourceMode: "bridge" })],
];

/** One that libvirt takes, and how its schema finds fault with it; the words are libxml2's. */
const valid = withFields(newInterface("52:54:00:00:00:42", "new0"), { queues: "4" });
const faults: [string, string, SchemaFinding[]][] = [
    ["nothing", valid, []],
    ["an attribute with a slip of the pen", valid.replace("queues", "qeues"),
        [{ line: 5, words: "Extra element driver in interleave", kind: "schema" }]],
    ["a value", valid.replace("'no'", "'maybe'"), [{ line: 3, words: "Extra element target in interleave", kind: "schema" }]],
    ["an element", valid.replace("<model", "<modle"),
        [{ line: 4, words: "Element interface has extra content: modle", kind: "schema" }]],
    ["another element", "<disk/>", [{ line: 1, words: "Expecting element interface, got disk", kind: "schema" }]],
    ["not well-formed", valid.replace("'/>\n  <target", "'>\n  <target"),
        [{ line: 6, words: "Opening and ending tag mismatch: mac line 2 and interface", kind: "syntax" }]],
];

await eachRelease(release => {
    let host: TestHost;
    beforeAll(async () => {
        host = await startHost({ release });
        await host.sh(`ip link add br0 type bridge; ip link set br0 up
            for dev in one two three; do ip tuntap add dev $dev mode tap; ip link set $dev up; done`);
    });
    afterAll(() => host.stop());

    describe("the definition of a guest that is off", () => {
        let before: string;
        beforeAll(async () => {
            await host.run(["virsh", "define", "/dev/stdin"], definition(interfaces + more));
            before = await secrets(host);
            expect(before).toContain("sEcr&amp;t1");
            expect(parseDefinition(before).interfaces.length).toBe(14);
        });
        afterAll(() => host.run(["virsh", "undefine", uuid]));

        const check = async (plan: Plan, ours: readonly string[]) => {
            expect(await run(host, plan)).toBe(true);
            const after = await secrets(host);
            const isOurs = (nic: string) => ours.some(place => nic.includes(place));
            expect(outside(after, isOurs)).toBe(outside(before, isOurs));
            await undo(host, plan);
            const back = await secrets(host);
            expect(outside(back, isOurs)).toBe(outside(before, isOurs));
            const sorted = (xml: string) => parseDefinition(xml).interfaces.map(iface => canonicalXml(iface.xml)).sort();
            expect(sorted(back)).toEqual(sorted(before));
        };

        test.each(changes.filter(([title]) => covering(release, title)))("%s", async (_title, index, change) => {
            await host.run(["virsh", "define", "/dev/stdin"], before);
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[index];
            const plan = planOf(planInterface(snapshot, {
                uuid, opened, xml: change(opened?.configured?.xml ?? ""), config: true, live: "no",
            }));
            expect(plan.steps.length).toBeGreaterThan(0);
            await check(plan, [slot(index), "slot='0x1e'"]);
        });

        test.each([1, 4, 0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13].slice(0, covering(release, "") ? 14 : 2))("remove interface %i", async index => {
            await host.run(["virsh", "define", "/dev/stdin"], before);
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[index] ?? {};
            await check(planOf(planRemoveInterface(snapshot, { uuid, opened, config: true, live: true })), [slot(index)]);
        });

        test("add", async () => {
            await host.run(["virsh", "define", "/dev/stdin"], before);
            const xml = newInterface("52:54:00:00:00:42", "new0");
            await check(planOf(planInterface((await read(host)).snapshot, { uuid, xml, config: true, live: "no" })), ["00:42"]);
        });

        if (release !== "bookworm") {
            test.each(faults)("its schema: %s", async (_title, xml, expected) => {
                expect(await schemaFindings(host.machine, xml)).toEqual(expected);
            });

            test("all that the form makes is valid by its schema", async () => {
                const { guest } = await read(host);
                for (const [title, index, change] of changes)
                    expect([title, await schemaFindings(host.machine, change(pairInterfaces(guest)[index]?.configured?.xml ?? ""))]).toEqual([title, []]);
            });
        } else {
            test("without xmllint nothing is said by its schema", async () => {
                expect(await schemaFindings(host.machine, valid)).toBeUndefined();
            });
        }

        test("the names that interfaces refer to", async () => {
            const names = await readNames(host.machine);
            expect(names.networks).toEqual(["default"]);
            expect(names.filters).toContain("clean-traffic");
        });

        test("libvirt's words for what it refuses", async () => {
            await host.run(["virsh", "define", "/dev/stdin"], before);
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[0];
            const xml = withFields(opened?.configured?.xml ?? "", { eventIdx: "perhaps" });
            const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: true, live: "no" }));
            await expect(run(host, plan)).rejects.toThrow(/event_idx/);
            expect(canonicalXml(await secrets(host))).toBe(canonicalXml(before));
        });
    });

    describe("a running guest", () => {
        let before: string;
        beforeAll(async () => {
            await host.run(["virsh", "define", "/dev/stdin"], definition(interfaces
                .replace("<target dev='one'/>", "<target dev='one' managed='no'/>").replace("<target dev='two'/>", "<target dev='two' managed='no'/>")));
            await host.run(["virsh", "start", uuid]);
            before = await secrets(host);
        });
        afterAll(() => host.sh(`virsh destroy ${uuid}; virsh undefine ${uuid}`));

        test("link state, of the one of two with the same MAC address, at once and for the next start", async () => {
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[1];
            const xml = withFields(opened?.configured?.xml ?? "", { linkState: "down" });
            const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: true, live: "change" }));
            expect(await run(host, plan)).toBe(true);
            const { guest: after } = await read(host);
            expect(pairInterfaces(after).map(({ configured, live }) => [configured?.linkState, live?.linkState]))
                .toEqual([[undefined, undefined], ["down", "down"], [undefined, undefined]]);
            const isOurs = (nic: string) => nic.includes("0x11");
            expect(outside(await secrets(host), isOurs)).toBe(outside(before, isOurs));
            await undo(host, plan);
            expect(canonicalXml(await secrets(host))).toBe(canonicalXml(before));
            expect((await read(host)).guest.live?.interfaces[1]?.linkState ?? "up").toBe("up");
        });

        test("what cannot change while it runs changes in the definition, and `managed` stays as it runs", async () => {
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[0];
            const xml = withFields(opened?.configured?.xml ?? "", { managed: "", mtu: "1400", linkState: "down" });
            const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: true, live: "change" }));
            expect(plan.notes?.some(note => note.id.includes("runs on with the old interface"))).toBe(true);
            expect(await run(host, plan)).toBe(true);
            const pair = pairInterfaces((await read(host)).guest)[0];
            expect([pair?.configured?.managed, pair?.live?.managed, pair?.live?.mtu, pair?.live?.linkState]).toEqual([undefined, "no", undefined, "down"]);
            await undo(host, plan);
            expect(canonicalXml(await secrets(host))).toBe(canonicalXml(before));
        });

        if (covering(release, "")) { // some seconds of ebtables
            test("a network filter with its parameters, at once and for the next start", async () => {
                const { snapshot, guest } = await read(host);
                const opened = pairInterfaces(guest)[0];
                const filter = "<filterref filter='clean-traffic'><parameter name='IP' value='10.0.0.2'/></filterref></interface>";
                const xml = (opened?.configured?.xml ?? "").replace("</interface>", filter);
                const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: true, live: "change" }));
                const inForce = () => host.sh("ebtables -t nat -L");
                expect(await inForce()).not.toContain("10.0.0.2");
                expect(await run(host, plan)).toBe(true);
                const pair = pairInterfaces((await read(host)).guest)[0];
                expect(pair?.configured?.xml).toContain("value='10.0.0.2'");
                expect(pair?.live?.xml).toContain("value='10.0.0.2'");
                expect(await inForce()).toContain("10.0.0.2");
                await undo(host, plan);
                expect(canonicalXml(await secrets(host))).toBe(canonicalXml(before));
                expect(await inForce()).not.toContain("10.0.0.2");
            });
        }

        test("libvirt's success is not believed but read back: 9.0 ignores trustGuestRxFilters without a word", async () => {
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[0];
            const xml = withFields(opened?.configured?.xml ?? "", { trustGuestRxFilters: "yes", managed: "" });
            const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: false, live: "change" }));
            const holds = await run(host, plan);
            const live = pairInterfaces((await read(host)).guest)[0]?.live;
            expect([holds, live?.xml.includes("trustGuestRxFilters='yes'"), live?.managed]).toEqual(
                release === "bookworm" ? [false, false, "no"] : [true, true, "no"]);
            await undo(host, plan);
            expect(pairInterfaces((await read(host)).guest)[0]?.live?.xml).toBe(opened?.live?.xml);
        });

        test("bandwidth, as far as this kernel can limit it: at once, or refused with nothing changed", async () => {
            const able = await host.sh("tc qdisc add dev three root sfq").then(() => host.sh("tc qdisc del dev three root"), () => "no");
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[1];
            const xml = withFields(opened?.configured?.xml ?? "", { inAverage: "1000" });
            const plan = planOf(planInterface(snapshot, { uuid, opened, xml, config: true, live: "change" }));
            if (able === "no") {
                await expect(run(host, plan)).rejects.toThrow(/sfq/);
                expect((await read(host)).guest.live?.interfaces[1]?.xml).not.toContain("bandwidth");
            } else {
                expect(await run(host, plan)).toBe(true);
                expect(await host.run(["tc", "class", "show", "dev", "two"])).toContain("8Mbit");
                await undo(host, plan);
            }
            expect(canonicalXml(await secrets(host))).toBe(canonicalXml(before));
        });

        test("plugged in, in both", async () => {
            const xml = newInterface("52:54:00:00:00:43", "three");
            const plan = planOf(planInterface((await read(host)).snapshot, { uuid, xml, config: true, live: "change" }));
            expect(await run(host, plan)).toBe(true);
            const { guest } = await read(host);
            expect(guest.live?.interfaces.at(-1)).toMatchObject({ target: "three", managed: "no", mac: "52:54:00:00:00:43" });
            expect(formOf(guest.configured?.interfaces.at(-1)?.xml ?? "")).toMatchObject({ target: "three", managed: "no" });
            const isOurs = (nic: string) => nic.includes("00:43");
            expect(outside(await secrets(host), isOurs)).toBe(outside(before, isOurs));
        });

        test("unplugging is not believed before the guest let go", async () => {
            // Nothing runs inside that could answer the request; libvirt reports success all the same.
            const { snapshot, guest } = await read(host);
            const opened = pairInterfaces(guest)[0] ?? {};
            const plan = planOf(planRemoveInterface(snapshot, { uuid, opened, config: false, live: true }));
            const holds = await run(host, plan);
            const still = (await read(host)).guest.live?.interfaces.some(iface => iface.target === "one");
            expect(holds).toBe(!still);
            expect(still).toBe(true);
        });

        test("a guest that answers lets go: unplugged and plugged in again, on another device", async () => {
            const booted = await defineGuest(host, {
                name: "booted", interfaces: [ethernet("away", { mac: "52:54:00:00:00:50", managed: "no" })], boots: [{ address: "10.0.0.50" }],
            });
            await host.sh(`for dev in away there; do ip tuntap add dev $dev mode tap; ip link set $dev up; ip addr add 169.254.0.1/32 dev $dev; done
                ip route add 10.0.0.50/32 dev away`);
            await booted.start();
            await booted.answers();
            const now = async () => (await read(host, booted.uuid));
            const { snapshot, guest } = await now();
            const opened = pairInterfaces(guest)[0];
            const xml = withFields(opened?.configured?.xml ?? "", { target: "there" });
            const plan = planOf(planInterface(snapshot, { uuid: booted.uuid, opened, xml, config: true, live: "replug" }));
            for (const step of plan.steps)
                await does(host, step.does);
            await until("the device to be used", async () => /there.*LOWER_UP/.test(await host.run(["ip", "link", "show", "there"])), 10);
            const after = await now();
            expect(plan.holds(after.snapshot)).toBe(true);
            expect(pairInterfaces(after.guest).map(({ live, configured }) => [live?.target, configured?.target])).toEqual([["there", "there"]]);
            await host.sh(`virsh destroy ${booted.uuid}; virsh undefine ${booted.uuid}`);
        });

        test("a device that is missing: nothing is plugged in, nothing written down", async () => {
            const xml = newInterface("52:54:00:00:00:44", "nowhere");
            const plan = planOf(planInterface((await read(host)).snapshot, { uuid, xml, config: true, live: "change" }));
            await expect(run(host, plan)).rejects.toThrow(/doesn't exist/);
            expect(await secrets(host)).not.toContain("00:44");
        });
    });
});

