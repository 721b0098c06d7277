// SPDX-License-Identifier: LGPL-2.1-or-later
// The made-up host with TAP devices in every state: written down, drifted, missing, left over, made by others.
import type { Snapshot } from "../../src/model/snapshot.ts";
import { fixture } from "./fixture.ts";

const read = <T>(value: T) => ({ state: "read" as const, value });

const tapFile = (name: string, guest: string, more = "") => `# description: ${name.replace(/\d+$/, "")}'s device
tuntap add dev ${name} mode tap${name === "styx0" ? " multi_queue" : ""}
link set dev ${name} addrgenmode none
link set dev ${name} up
address replace 169.254.0.1/32 dev ${name}
route replace ${guest}/32 dev ${name}
${more}`;

/** @param second how long ago it was first looked at: traffic grows with it */
export function withTaps(second: number): Snapshot {
    const snapshot = fixture();
    const links = snapshot.links.state === "read" ? snapshot.links.value : [];
    const files = [
        ["/etc/kvm-tap/styx0.tap", tapFile("styx0", "10.0.0.3")],
        ["/etc/kvm-tap/lethe0.tap", tapFile("lethe0", "10.0.0.44", "qdisc replace dev lethe0 root fq_codel\n")],
        ["/etc/kvm-tap/cocytus0.tap", tapFile("cocytus0", "10.0.0.6")],
        ["/etc/kvm-tap/old_guest0.tap", tapFile("old_guest0", "10.0.0.77")],
        ["/etc/sysctl.d/60-kvm-tap-styx0.conf", "net/ipv4/conf/styx0/rp_filter = 1\nnet/ipv4/conf/styx0/send_redirects = 0\n"],
        ["/etc/systemd/network/50-asphodel.netdev", "[NetDev]\nName=asphodel0\nKind=tap\n"],
    ] as const;
    const ours = ["styx0", "lethe0", "cocytus0", "old_guest0", "gone0"];
    const gateway = (name: string) => [name, [{ family: "inet" as const, address: "169.254.0.1", prefix: 32, scope: "link" }]] as const;
    return {
        ...snapshot,
        links: read(links.map((link, index) => ({
            ...link, minMtu: 68, maxMtu: 65521,
            traffic: {
                rxBytes: index * 1000 * second * second, txBytes: 30_000 * second * (index % 3)
                    + 40_000 * Math.round(Math.sin(second) * index + index),
                rxPackets: 0, txPackets: 0,
            },
        }))),
        addresses: read(new Map(["styx0", "lethe0", "charon_pvnet1", "asphodel0"].map(gateway))),
        files: read(new Map(files.map(([path, content]) => [path, { path, content }]))),
        enabled: read(new Set(ours.map(name => `kvm-tap@${name}.service`))),
        units: read(new Map(ours.map(name => [name, { name, enabled: true, active: name === "cocytus0" ? "failed" : "active" }]))),
        profiles: read(new Map()), networkd: read(new Map()),
        services: read(new Map([["systemd-networkd.service", "active"]])),
        holders: read(new Map(["styx0", "tartarus0", "lethe0"].map((name, index) =>
            [name, [{ pid: 4711 + index, program: "qemu-system-x86_64" }]]))),
    };
}
