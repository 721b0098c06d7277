// SPDX-License-Identifier: LGPL-2.1-or-later
// Who makes a device at boot, by the files of those who could and by whether they run.
import { bootProvider } from "../../../src/model/boot-provider.ts";
import { NOTHING_READ, type Profile, type Snapshot } from "../../../src/model/snapshot.ts";

const read = <T>(value: T) => ({ state: "read" as const, value });
const INTERFACES = "/etc/network/interfaces";
const BESIDE = "/etc/network/interfaces.d/vm0";
const NM = "/etc/NetworkManager/system-connections/vm0.nmconnection";
const netdev = "[NetDev]\nName = vm0\nKind=tap\n";
const stanza = "auto vm0\niface vm0 inet manual\n    pre-up ip tuntap add dev $IFACE mode tap\n";
const profile: Profile = { path: NM, type: "tun", autoconnect: true };

interface Case {
    files?: Record<string, string>;
    profile?: Profile;
    services?: readonly string[];
    enabled?: boolean;
}

function host({ files = {}, profile: one, services = ["systemd-networkd", "NetworkManager", "networking"], enabled = false }: Case): Snapshot {
    return {
        ...NOTHING_READ,
        files: read(new Map(Object.entries(files).map(([path, content]) => [path, { path, content }]))),
        profiles: read(new Map(one ? [["vm0", one]] : [])),
        services: read(new Map(services.map(name => [`${name}.service`, "active"]))),
        enabled: read(new Set(enabled ? ["kvm-tap@vm0.service"] : [])), guests: read([]),
    };
}

test.each<[string, Case, string]>([
    ["nobody", {}, "nothing"],
    ["our unit and file", { files: { "/etc/kvm-tap/vm0.tap": "x" }, enabled: true }, "kvm-tap"],
    ["our file, not enabled", { files: { "/etc/kvm-tap/vm0.tap": "x" } }, "nothing"],
    ["our unit without a file", { enabled: true }, "nothing"],
    ["a .netdev file", { files: { "/etc/systemd/network/1.netdev": netdev } }, "networkd"],
    ["a .netdev file, but networkd does not run", { files: { "/etc/systemd/network/1.netdev": netdev }, services: [] }, "nothing"],
    ["a .netdev file that is gone after a boot", { files: { "/run/systemd/network/1.netdev": netdev } }, "nothing"],
    ["a .netdev file that netplan writes at each boot", { files: { "/run/systemd/network/10-netplan-vm0.netdev": netdev } }, "networkd"],
    ["a .netdev file of another name", { files: { "/etc/systemd/network/1.netdev": netdev.replace("vm0", "vm1") } }, "nothing"],
    ["a .netdev file of another kind", { files: { "/etc/systemd/network/1.netdev": netdev.replace("tap", "dummy") } }, "nothing"],
    ["a profile", { profile }, "NetworkManager"],
    ["a profile, but NetworkManager does not run", { profile, services: ["networking"] }, "nothing"],
    ["a profile that is not connected by itself", { profile: { ...profile, autoconnect: false } }, "nothing"],
    ["a profile that only configures", { profile: { ...profile, type: "ethernet" } }, "nothing"],
    ["what NetworkManager found and remembers until the boot", { profile: { ...profile, path: NM.replace("/etc", "/run") } }, "nothing"],
    ["a stanza", { files: { [INTERFACES]: stanza } }, "ifupdown"],
    ["a stanza, but ifupdown does not run", { files: { [INTERFACES]: stanza }, services: [] }, "nothing"],
    ["a stanza that is not brought up by itself", { files: { [INTERFACES]: stanza.replace("auto", "#") } }, "nothing"],
    ["a stanza in a file that is read", { files: { [INTERFACES]: "source interfaces.d/*\n", [BESIDE]: stanza } }, "ifupdown"],
    ["… with a name that only `source` takes", { files: { [INTERFACES]: `source ${INTERFACES}.d/*\n`, [`${BESIDE}.cfg`]: stanza } }, "ifupdown"],
    ["… and `source-directory` does not", { files: { [INTERFACES]: `source-directory ${INTERFACES}.d\n`, [`${BESIDE}.cfg`]: stanza } }, "nothing"],
    ["a stanza in a file that nobody reads", { files: { [INTERFACES]: "auto lo\n", [BESIDE]: stanza } }, "nothing"],
    ["the stanza of a bridge", {
        files: { [INTERFACES]: "auto br0\niface br0 inet manual\n  pre-up ip tuntap add mode tap \\\n    vm0 user x; ip link set vm0 up\n  bridge_ports vm0\n" },
    }, "ifupdown"],
    // As ifquery of ifupdown 0.8.41 tells.
    ["a stanza behind a comment that ends with a backslash", { files: { [INTERFACES]: stanza.replace("iface", "  # mine \\\niface") } }, "ifupdown"],
    ["a word in two lines", { files: { [INTERFACES]: stanza.replace("tuntap", "tun\\\ntap") } }, "ifupdown"],
    ["a stanza in a comment", { files: { [INTERFACES]: stanza.replace("iface", "# \\\n#iface") } }, "nothing"],
    ["a bridge that only takes it as a port", { files: { [INTERFACES]: "auto br0\niface br0 inet manual\n  bridge_ports vm0\n" } }, "nothing"],
    ["tunctl", { files: { [INTERFACES]: "auto vm0\niface vm0 inet manual\n  pre-up tunctl -t vm0 -u libvirt-qemu\n" } }, "ifupdown"],
    ["an option of uml-utilities", { files: { [INTERFACES]: "allow-hotplug vm0\niface vm0 inet manual\n  tunctl_user libvirt-qemu\n" } }, "ifupdown"],
    ["openvpn", { files: { [INTERFACES]: "auto vm0\niface vm0 inet manual\n  pre-up openvpn --mktun --dev vm0\n" } }, "ifupdown"],
    ["a stanza for a device that somebody else makes", { files: { [INTERFACES]: "auto vm0\niface vm0 inet static\n  address 10.0.0.1/24\n" } }, "nothing"],
])("%s", (_what, given, by) => expect(bootProvider(host(given), "vm0").by).toBe(by));

test.each(["files", "profiles", "enabled", "services"] as const)("not known while %s are not read", part => {
    expect(bootProvider({ ...host({}), [part]: { state: "reading" } }, "vm0")).toEqual({ by: "unknown" });
});
