// SPDX-License-Identifier: LGPL-2.1-or-later
// Packages that only one test needs: fetched from the Debian archive by this machine, since hosts have no way there.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./exec.ts";
import type { TestHost } from "./host.ts";
import { cache, top, tree } from "./trees.ts";

/**
 * Installs packages, with those they need, in a running host: their services are started as on any other. Some seconds; fetched
 * once and kept beside the trees. Rejects when the archive cannot be had.
 */
export async function install(host: TestHost, packages: readonly string[]): Promise<void> {
    const recipe = join(top, "test/lab/debs.sh");
    const from = await tree(host.release);
    const key = createHash("sha256").update([readFileSync(recipe), from, ...packages].join("\n")).digest("hex").slice(0, 12);
    const directory = join(cache, `debs-${host.release}-${key}`);
    if (!existsSync(directory))
        await must(["flock", `${directory}.lock`, "sh", recipe, from, directory, ...packages]);
    const files = readdirSync(directory).filter(name => name.endsWith(".deb"));
    for (const file of files)
        copyFileSync(join(directory, file), join(host.root, "root", file));
    await host.run(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", ...files.map(file => `/root/${file}`)]);
}
