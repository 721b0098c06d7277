// SPDX-License-Identifier: LGPL-2.1-or-later
// The plugin gets into a browser test's host as into an administrator's: by its packages, which `make deb` builds.
import { copyFileSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { top } from "../lab/trees.ts";
import { startHost, type HostOptions, type TestHost } from "../lab/host.ts";

const built = join(top, "output/deb");

/** A booted host with both packages installed. */
export async function startHostWithPlugin(options: HostOptions): Promise<TestHost> {
    const host = await startHost(options);
    try {
        await installPackages(host);
    } catch (error) {
        await host.stop();
        throw error;
    }
    return host;
}

export async function installPackages(host: TestHost): Promise<void> {
    const packages = existsSync(built) ? readdirSync(built).filter(name => name.endsWith(".deb")) : [];
    if (packages.length !== 2)
        throw new Error("the browser tests install the packages: build them with `make deb`");
    for (const name of packages)
        copyFileSync(join(built, name), join(host.root, "root", name));
    await host.run(["dpkg", "--install", ...packages.map(name => `/root/${name}`)]);
    for (const name of packages)
        rmSync(join(host.root, "root", name));
}
