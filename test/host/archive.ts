// SPDX-License-Identifier: LGPL-2.1-or-later
// Debian packages that one test alone needs, put into its host from the archive: a host itself has no way out.
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";

/** Installs without starting any service, with the network of the machine that runs the lab. 5 to 20 s. */
export async function install(host: TestHost, ...packages: readonly string[]): Promise<void> {
    writeFileSync(join(host.root, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    copyFileSync("/etc/resolv.conf", join(host.root, "etc/resolv.conf"));
    const apt = ["chroot", host.root, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get", "-qq",
        // forky's release file in a snapshot of the archive has expired.
        "-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Languages=none", "-o", "Dpkg::Use-Pty=0", "-o", "APT::Sandbox::User=root"];
    await must([...apt, "update"]);
    await must([...apt, "install", "-y", "--no-install-recommends", ...packages]);
}
