// SPDX-License-Identifier: LGPL-2.1-or-later
// Packages that only one test needs: fetched from the Debian archive by this machine, since hosts have no way there.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./exec.ts";
import type { TestHost } from "./host.ts";
import { cache, top, tree } from "./trees.ts";

/**
 * Installs packages, with those they need, in a running host: their services are started as on any other, unless `started` is false
 * (policy-rc.d, "man invoke-rc.d"). Some seconds; fetched once and kept beside the trees. Rejects when the archive cannot be had.
 */
export async function install(host: TestHost, packages: readonly string[], { started = true } = {}): Promise<void> {
    const recipe = join(top, "test/lab/debs.sh");
    const from = await tree(host.release);
    const key = createHash("sha256").update([readFileSync(recipe), from, ...packages].join("\n")).digest("hex").slice(0, 12);
    const directory = join(cache, `debs-${host.release}-${key}`);
    if (!existsSync(directory))
        await must(["flock", `${directory}.lock`, "sh", recipe, from, directory, ...packages]);
    const files = readdirSync(directory).filter(name => name.endsWith(".deb"));
    for (const file of files)
        copyFileSync(join(directory, file), join(host.root, "root", file));
    const policy = join(host.root, "usr/sbin/policy-rc.d");
    if (!started)
        writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
    // apt-get knows the order, which dpkg alone does not.
    await host.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "--yes", "--no-install-recommends",
        "-o", "APT::Sandbox::User=root", "install", ...files.map(file => `/root/${file}`)]);
    rmSync(policy, { force: true });
}
