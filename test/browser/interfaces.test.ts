// SPDX-License-Identifier: LGPL-2.1-or-later
// Every dialog about a guest's interface, in the real shell: add, edit as a form and as XML, convert and convert back, remove, what belongs
// inside the guest, a running guest; and two people at the same interface.
import type { Browser } from "playwright-core";
import { parseDefinition } from "../../src/model/guest.ts";
import { guestFiles } from "../../src/model/guest-network.ts";
import { canonicalXml } from "../../src/model/interface-xml.ts";
import { everything } from "../host/host-files.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

const mac = (number: number) => `52:54:00:aa:00:0${number}`;
const bridged = `<interface type='bridge'><mac address='${mac(3)}'/><source bridge='br7'/><model type='virtio'/></interface>`;
const screen = "<graphics type='vnc' port='-1' autoport='yes' passwd='sEcr&amp;t1'/>";

const configured = (guest: string) => host.run(["virsh", "dumpxml", "--inactive", "--security-info", guest]);
const live = (guest: string) => host.run(["virsh", "dumpxml", guest]);
const interfacesOf = async (guest: string) => parseDefinition(await configured(guest)).interfaces;
const onlyOf = async (guest: string) => (await interfacesOf(guest)).map(iface => iface.xml).join("\n");
const makeDevice = (name: string) => host.sh(`ip tuntap add dev ${name} mode tap; ip link set dev ${name} up`);

/** A definition without its interfaces. */
async function outside(guest: string): Promise<string> {
    const xml = await configured(guest);
    return canonicalXml(parseDefinition(xml).interfaces.reduce((rest, iface) => rest.replace(iface.xml, ""), xml));
}

const action = (name: string) => cockpit.dialog.getByRole("button", { name, exact: true });
const done = () => cockpit.dialog.waitFor({ state: "detached" });

/** The button below; the cross at the top has the same name. */
async function close(): Promise<void> {
    await cockpit.dialog.locator("footer").getByRole("button", { name: "Close" }).click();
    await done();
}

/** Presses Undo in the news of the last change and waits until that is done. */
async function undo(): Promise<void> {
    await cockpit.frame.getByRole("button", { name: "Undo" }).click();
    await cockpit.frame.getByText("Undone").waitFor();
}

const looked = new Set<string>();

/** Opens a dialog from the menu of a row. Nothing in it may keep anybody out: looked at once for each. */
async function open(key: string, item: string): Promise<void> {
    await cockpit.row(key).waitFor();
    await cockpit.act(key, item);
    await cockpit.dialog.waitFor();
    if (!looked.has(item))
        expect(await barriers(cockpit)).toEqual([]);
    looked.add(item);
}

/** Each text is refused while it is typed, with this sentence. */
async function refused(label: string, button: string, texts: readonly [string, string | RegExp][]): Promise<void> {
    for (const [text, sentence] of texts) {
        await cockpit.field(label).fill(text);
        await cockpit.dialog.getByText(sentence).first().waitFor();
        expect(await action(button).isDisabled()).toBe(true);
    }
}

await eachRelease(release => {
    if (release !== "trixie" && !everything)
        return;
    /** Only suggested by Debian 12's packages. */
    const hasXmllint = release !== "bookworm";

    beforeAll(async () => {
        host = await startHostWithPlugin({ release });
        await host.sh("ip link add br7 type bridge; ip link set br7 up");
        for (const device of ["styx0", "lethe0", "acheron0"])
            await makeDevice(device);
        await defineGuest(host, { name: "styx", interfaces: [ethernet("styx0", { mac: mac(1), managed: "no" })], devices: screen });
        await defineGuest(host, { name: "bare", interfaces: [], devices: screen });
        await defineGuest(host, { name: "cocytus", interfaces: [bridged], devices: screen });
        const lethe = await defineGuest(host, { name: "lethe", interfaces: [ethernet("lethe0", { mac: mac(2), managed: "no" })] });
        await lethe.start();
        browser = await startBrowser(host);
        cockpit = await Cockpit.login(browser, host);
        await cockpit.mark();
    });
    afterAll(async () => {
        await browser?.close();
        await host?.stop();
    });

    journey("add: what cannot be is refused while typing; the device is made on the spot; undone, nothing of it is left", async () => {
        const before = await outside("bare");
        await open("bare", "Add interface…");
        expect(await action("Add").isDisabled()).toBe(true);
        await refused("TAP device", "Add", [
            ["a name", "Use only letters"], ["vnet7", "belong to libvirt"], ["sixteen-letters-", "too long"], ["br7", "not a TAP device"],
            ["lethe0", "running on lethe0"],
        ]);
        await cockpit.field("TAP device").fill("bare0");
        await cockpit.dialog.getByText("There is no device bare0 yet").waitFor();
        await cockpit.dialog.getByLabel("Create the TAP device bare0, too").check();
        await refused("Guest addresses", "Add", [["10.0.0", /10\.0\.0/]]);
        await cockpit.field("Guest addresses").fill("10.0.0.60");
        await cockpit.press("Add");
        await done();
        await cockpit.rowText("bare", "10.0.0.60").waitFor();
        await cockpit.rowText("bare", "persistent, up").waitFor();
        expect(await onlyOf("bare")).toMatch(/<target dev='bare0' managed='no'\/>/);
        expect(await outside("bare")).toBe(before);
        expect(await host.run(["ip", "route", "show", "10.0.0.60"])).toContain("dev bare0");
        await undo();
        await cockpit.rowText("bare", "no interface").waitFor();
        expect(await host.sh("ls /etc/kvm-tap")).not.toContain("bare0");
        expect(await outside("bare")).toBe(before);
    });

    journey("edit as a form: one attribute each, and nothing else", async () => {
        const [before, around] = [await onlyOf("styx"), await outside("styx")];
        await open("styx", "Edit interface…");
        await refused("MAC address", "Change", [
            ["01:00:00:00:00:00", "multicast"], ["00:00:00:00:00:00", "all zeros"], [mac(2), "guest lethe has this"], ["52:54", "six pairs"],
        ]);
        await cockpit.field("MAC address").fill(mac(1));
        await cockpit.dialog.getByText("Nothing has to be done").waitFor();
        await cockpit.dialog.getByText("More", { exact: true }).click();
        await refused("MTU", "Change", [["12", "68 to 65535"]]);
        await cockpit.field("MTU").fill("1400");
        await refused("Queues", "Change", [["4", "has one queue only"]]);
        await cockpit.field("Queues").fill("");
        await refused("PCI address", "Change", [["00:1e", "is written like"]]);
        await cockpit.field("PCI address").fill("0000:00:1e.0");
        await cockpit.field("Model").fill("e1000e");
        expect(await barriers(cockpit)).toEqual([]);
        await cockpit.press("Change");
        await done();
        await cockpit.rowText("styx", "e1000e").waitFor();
        expect(await onlyOf("styx")).toBe(before.replace("<model type='virtio'/>", "<model type='e1000e'/>\n      <mtu size='1400'/>")
            .replace(/slot='0x..'/, "slot='0x1e'"));
        expect(await outside("styx")).toBe(around);
        await undo();
        await cockpit.rowText("styx", "virtio").waitFor();
        expect(await onlyOf("styx")).toBe(before);
    });

    journey("edit as XML: libvirt's parser and its schema at the line, libvirt's own words when it refuses, the input kept", async () => {
        const before = await configured("styx");
        const valid = hasXmllint ? "Valid by libvirt's schema." : "Where xmllint is installed";
        await open("styx", "Edit interface…");
        await cockpit.dialog.getByRole("tab", { name: "XML" }).click();
        await cockpit.dialog.getByText(valid).waitFor();
        const definition = cockpit.field("Definition");
        const xml = await definition.inputValue();
        await definition.fill(xml.replace("</interface>", "</interfaces>"));
        await cockpit.dialog.getByText(hasXmllint ? /line \d: Opening and ending tag mismatch/ : /not well-formed XML: line \d/).waitFor();
        expect(await action("Change").isDisabled()).toBe(true);
        if (hasXmllint) {
            await definition.fill(xml.replace("<model", "<modle"));
            await cockpit.dialog.getByText("Element interface has extra content: modle").waitFor();
            await cockpit.dialog.getByRole("button", { name: "Line 4" }).click();
            expect(await definition.evaluate((area: HTMLTextAreaElement) => area.value.slice(area.selectionStart, area.selectionEnd)))
                .toBe("  <modle type='virtio'/>");
            expect(await barriers(cockpit)).toEqual([]);
        }
        await definition.fill(xml.replace("</interface>", "  <mtu size='12'/>\n</interface>"));
        await cockpit.dialog.getByText("68 to 65535").waitFor();
        // Its schema takes this for every type, libvirt itself does not.
        await definition.fill(xml.replace("</interface>", "  <port isolated='yes'/>\n</interface>"));
        await cockpit.dialog.getByText(valid).waitFor();
        await cockpit.press("Change");
        await cockpit.dialog.getByText(/isolated.*not supported/).first().waitFor();
        await cockpit.dialog.getByText("the host is as it was").waitFor();
        expect(await configured("styx")).toBe(before);
        expect(await definition.inputValue()).toContain("<port isolated='yes'/>");
        await definition.fill(xml.replace("managed='no'", ""));
        await cockpit.dialog.getByText("Without managed='no' libvirt deletes styx0").waitFor();
        await cockpit.press("Cancel");
        await done();
        expect(await configured("styx")).toBe(before);
    });

    journey("convert a bridge's interface to ethernet, and back to what it was", async () => {
        const [before, around] = [await onlyOf("cocytus"), await outside("cocytus")];
        await open("cocytus", "Edit interface…");
        await cockpit.field("Connected to").selectOption("ethernet");
        expect(await action("Change").isDisabled()).toBe(true);
        await cockpit.dialog.locator("datalist option[value=acheron0]").waitFor({ state: "attached" });
        await cockpit.field("TAP device").fill("acheron0");
        await cockpit.press("Change");
        await done();
        await cockpit.rowText("cocytus", "acheron0").waitFor();
        expect(await onlyOf("cocytus")).toMatch(/type='ethernet'[^]*<target dev='acheron0' managed='no'\/>/);
        await open("cocytus", "Edit interface…");
        await cockpit.field("Connected to").selectOption("network");
        await cockpit.dialog.getByText("The journal does not know how it was connected before").waitFor();
        await cockpit.dialog.locator("datalist option[value=default]").waitFor({ state: "attached" });
        await cockpit.field("Connected to").selectOption("bridge");
        await cockpit.dialog.getByText(/As it was until .*, by the journal\./).waitFor();
        expect(await cockpit.field("Bridge").inputValue()).toBe("br7");
        await cockpit.press("Change");
        await done();
        await cockpit.rowText("cocytus", "bridge").waitFor();
        expect(canonicalXml(await onlyOf("cocytus"))).toBe(canonicalXml(before));
        expect(await outside("cocytus")).toBe(around);
    });

    journey("a running guest: at once what can be, the rest pending; plugged in; unplugging is not believed before the guest let go", async () => {
        await open("lethe", "Edit interface…");
        await cockpit.field("Cable").selectOption("down");
        await cockpit.field("Model").fill("e1000");
        await cockpit.dialog.getByText("lethe runs on with the old interface").waitFor();
        await cockpit.press("Change");
        await done();
        expect(await live("lethe")).toMatch(/<link state='down'\/>/);
        expect(await live("lethe")).not.toContain("<model type='e1000'/>");
        expect(await onlyOf("lethe")).toMatch(/<model type='e1000'\/>[^]*<link state='down'\/>/);
        await open("lethe", "Add interface…");
        await cockpit.field("TAP device").fill("acheron0");
        await cockpit.field("Takes effect").selectOption("live");
        await cockpit.press("Add");
        await done();
        const second = "lethe/1+";
        await cockpit.rowText(second, "acheron0").waitFor();
        expect((await interfacesOf("lethe")).length).toBe(1);
        // Nothing runs inside that could answer the request; libvirt reports success all the same.
        await open(second, "Remove interface…");
        await cockpit.press("Remove");
        await cockpit.dialog.getByText("the host does not read as promised").waitFor();
        expect(await live("lethe")).toContain("dev='acheron0'");
        await close();
    });

    journey("remove: the interface goes, the device stays, and Undo brings it back", async () => {
        const [before, around] = [await onlyOf("styx"), await outside("styx")];
        await open("styx", "Remove interface…");
        await cockpit.dialog.getByText("The TAP device styx0, its addresses and mappings stay.").waitFor();
        await cockpit.press("Remove");
        await done();
        await cockpit.rowText("styx", "no interface").waitFor();
        expect(await outside("styx")).toBe(around);
        await host.run(["ip", "link", "show", "dev", "styx0"]);
        await undo();
        await cockpit.rowText("styx", "styx0").waitFor();
        expect(await onlyOf("styx")).toBe(before);
    });

    journey("for the inside of the guest: each tool's file, to copy", async () => {
        await open("styx", "For the inside of the guest…");
        await cockpit.dialog.getByText("there is no route to one over this device yet").waitFor();
        await cockpit.field("Guest addresses").fill("10.0.0");
        await cockpit.dialog.getByText("10.0.0 is not an address.").waitFor();
        await cockpit.field("Guest addresses").fill("10.0.0.3 2001:db8::3");
        await cockpit.field("Name servers").fill("192.0.2.53");
        await cockpit.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        const network = { mac: mac(1), name: "eth0", addresses: ["10.0.0.3", "2001:db8::3"], nameServers: ["192.0.2.53"] };
        const files = guestFiles(network);
        for (const { tool, title, text } of files) {
            await cockpit.field("Configured by").selectOption(tool);
            expect(await cockpit.dialog.getByLabel(title, { exact: true }).textContent()).toBe(text);
        }
        await action("Copy").click();
        await action("Copied").waitFor();
        expect(await cockpit.page.evaluate(() => navigator.clipboard.readText())).toBe(files.at(-1)?.text);
        expect(await barriers(cockpit)).toEqual([]);
        await close();
    });

    journey("two people edit the same interface: the second sees both, overwrites nothing, and goes on from there", async () => {
        const other = await Cockpit.login(browser, host);
        await open("styx", "Edit interface…");
        await cockpit.field("Cable").selectOption("down");
        await action("Change").and(cockpit.dialog.locator(":enabled")).waitFor();
        await other.row("styx").waitFor();
        await other.act("styx", "Edit interface…");
        await other.field("Model").fill("e1000");
        await other.press("Change");
        await other.dialog.waitFor({ state: "detached" });
        await cockpit.dialog.getByText("changed by somebody else meanwhile").waitFor();
        const both = await cockpit.dialog.getByLabel("Difference", { exact: true }).first().textContent();
        expect(both).toContain("<model type='virtio'/>");
        expect(both).toContain("<model type='e1000'/>");
        expect(await action("Change").isDisabled()).toBe(true);
        expect(await barriers(cockpit)).toEqual([]);
        await action("Start again from what is there now").click();
        expect(await cockpit.field("Model").inputValue()).toBe("e1000");
        await cockpit.field("Cable").selectOption("down");
        await cockpit.press("Change");
        await done();
        expect(await onlyOf("styx")).toMatch(/<model type='e1000'\/>[^]*<link state='down'\/>/);
        await open("styx", "Edit interface…");
        await host.run(["virsh", "detach-interface", "styx", "ethernet", "--mac", mac(1), "--config"]);
        await cockpit.dialog.getByText("It is not there any more.").waitFor();
        expect(await action("Change").isDisabled()).toBe(true);
        await cockpit.press("Cancel");
        await done();
        await other.rowText("styx", "no interface").waitFor();
        await other.close();
        expect(await cockpit.sameDocument()).toBe(true);
        await cockpit.close();
    });
});
