// SPDX-License-Identifier: LGPL-2.1-or-later
// The file trees that test hosts boot from: made once by mmdebstrap, kept outside the checkout, never changed.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must } from "./exec.ts";

export const releases = ["bookworm", "trixie", "forky"] as const;
export type Release = (typeof releases)[number];

/** What is kept between runs: trees and the guests' kernel. KVM_TAP_LAB_CACHE moves it. */
export const cache = process.env["KVM_TAP_LAB_CACHE"] ?? "/var/cache/kvm-tap-lab";

/** The checkout: where the tests were started, or a directory above. */
export const top = (function up(directory: string): string {
    if (existsSync(join(directory, "test/lab/tree.sh")))
        return directory;
    if (directory === "/")
        throw new Error("lab: start it inside the checkout");
    return up(dirname(directory));
})(process.cwd());

const everywhere = [
    "systemd", "systemd-sysv", "dbus", "sudo", "passwd", "login", "procps", "curl", "iproute2", "nftables", "conntrack", "tcpdump",
    "iputils-ping", "iputils-arping", "cockpit-ws", "cockpit-bridge", "cockpit-system", "libvirt-daemon-system", "libvirt-clients",
    "qemu-system-x86", "python3",
];
const only: Record<Release, readonly string[]> = {
    bookworm: ["policykit-1"],
    trixie: ["polkitd", "libvirt-daemon-driver-qemu"],
    // Without a session bus Cockpit 370's bridge dies as soon as its shell asks for one.
    forky: ["polkitd", "libvirt-daemon-driver-qemu", "dbus-user-session"],
};

/**
 * The directory of a release's tree with these packages beside the usual ones; made when it is missing (half a minute). Parallel callers
 * wait for one another. Rejects when the archive cannot be had.
 */
export async function tree(release: Release, packages: readonly string[] = []): Promise<string> {
    const recipe = join(top, "test/lab/tree.sh");
    const wanted = [...everywhere, ...only[release], ...packages];
    const key = createHash("sha256").update([readFileSync(recipe), release, ...wanted].join("\n")).digest("hex").slice(0, 12);
    const directory = join(cache, `${release}-${key}`);
    if (!existsSync(directory)) {
        mkdirSync(cache, { recursive: true });
        process.stderr.write(`lab: making the tree of ${release}, about half a minute\n`);
        await must(["flock", `${directory}.lock`, "sh", recipe, release, directory, ...wanted]);
    }
    return directory;
}
