// SPDX-License-Identifier: LGPL-2.1-or-later
// pkg/host as installed, for test hosts that need no page and no package.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import type { TestHost } from "../lab/host.ts";

/** Whether all combinations are wanted (`make check-all`, or releases named by hand), not a covering selection. */
export const everything = process.env["KVM_TAP_ALL"] !== undefined || process.env["KVM_TAP_RELEASES"] !== undefined;

const hook = "/etc/libvirt/hooks/qemu.d/50-kvm-tap";

/** Where `install-host` of pkg/packages.mk puts a file; null for the manual. */
function placeOf(file: string): string | null {
    if (file.endsWith(".service"))
        return `/usr/lib/systemd/system/${file}`;
    if (file.endsWith(".network"))
        return `/usr/lib/systemd/network/${file}`;
    if (file.endsWith(".conf"))
        return `/usr/lib/NetworkManager/conf.d/${file}`;
    if (file === "kvm-tap-generator")
        return `/usr/lib/systemd/system-generators/${file}`;
    if (file === "50-kvm-tap")
        return hook;
    return file.endsWith(".7") ? null : `/usr/lib/kvm-tap/${file}`;
}

/** Absolute path → content, for `startHost({ files })`. */
export function hostFiles(): Record<string, string> {
    const files = readdirSync("pkg/host", { recursive: true, withFileTypes: true })
            .filter(entry => entry.isFile() && !entry.parentPath.endsWith("__pycache__"))
            .map(entry => relative("pkg/host", join(entry.parentPath, entry.name)));
    const entries = files.map(file => [placeOf(file), readFileSync(`pkg/host/${file}`, "utf8")] as const);
    const directory = ["/etc/kvm-tap/.keep", ""];
    return Object.fromEntries([directory, ...entries.flatMap(([path, content]) => path === null ? [] : [[path, content]])]);
}

/** A `.tap` file as the page writes it. */
export function tapFile(name: string, guestAddress: string, options = ""): string {
    return [`# description: ${name} of a test`,
        `tuntap add dev ${name} mode tap${options}`,
        `link set dev ${name} addrgenmode none`,
        `link set dev ${name} up`,
        `address replace 169.254.0.1/32 dev ${name}`,
        `route replace ${guestAddress}/32 dev ${name}`, ""].join("\n");
}

const escape = (text: string) => text.replace(/[&<>'"]/g, character => `&#${character.charCodeAt(0)};`);

/** A guest that runs without ever booting: started in 0.3 s. */
export function bareGuest({ name, uuid, interfaces, extra = "", metadata = "" }: {
    name: string;
    uuid: string;
    /** Attributes of each `<target>`, and of `<driver>`. */
    interfaces: readonly { target: string; driver?: string }[];
    extra?: string;
    metadata?: string;
}): string {
    const ethernet = interfaces.map(({ target, driver = "" }, index) => `<interface type="ethernet">
        <mac address="52:54:00:${uuid.slice(0, 2)}:00:0${index}"/><target ${target}/><model type="virtio"/><driver ${driver}/></interface>`);
    return `<domain type="qemu"><name>${escape(name)}</name><uuid>${uuid}</uuid><metadata>${metadata}</metadata><memory unit="MiB">32</memory>
        <os><type arch="x86_64">hvm</type></os><on_crash>destroy</on_crash>
        <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${ethernet.join("\n")}${extra}</devices></domain>`;
}

/** `virsh define|create` of this definition. Standard input is a socket here, which /dev/stdin cannot open: hence the pipe. */
export function give(host: TestHost, verb: "define" | "create", xml: string): Promise<string> {
    return host.run(["sh", "-c", 'cat | virsh --quiet "$0" /dev/stdin', verb], xml);
}
