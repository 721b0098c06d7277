// SPDX-License-Identifier: LGPL-2.1-or-later
// charon as in the thread: its definition, and a device that an administrator makes by hand at boot, before libvirt starts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Guest, installKernel } from "./guest.ts";
import type { TestHost } from "./host.ts";
import { top } from "./trees.ts";

export const charon = {
    name: "charon", uuid: "08a3af0e-f145-54c6-30a2-efdab5478523", device: "charon_pvnet1", mac: "52:54:00:25:6f:3f", address: "10.0.0.2",
};

/** The administrator's script and unit, for `startHost({ files, enable })`. */
export const handMadeDevice = {
    files: {
        "/usr/local/sbin/charon-device": `#!/bin/sh
# The device of charon, made by hand.
ip tuntap add dev ${charon.device} mode tap
ip link set dev ${charon.device} up
ip address add 169.254.0.1/32 dev ${charon.device}
ip route add ${charon.address}/32 dev ${charon.device}
`,
        "/etc/systemd/system/charon-device.service": `[Unit]
Description=TAP device of charon, made by hand
After=network-pre.target
Before=network.target libvirtd.service virtqemud.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/charon-device

[Install]
WantedBy=multi-user.target
`,
        "/var/lib/libvirt/images/kvm_charon": "\0".repeat(1 << 20),
    },
    enable: ["charon-device.service"],
};

/** Defines charon; it is off. */
export async function defineCharon(host: TestHost): Promise<Guest> {
    await installKernel(host);
    await host.run(["virsh", "define", "/dev/stdin"], readFileSync(join(top, "test/lab/charon.xml"), "utf8"));
    return new Guest(host, charon.name, charon.uuid, charon.address);
}
