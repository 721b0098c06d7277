// SPDX-License-Identifier: LGPL-2.1-or-later
// The packages of this checkout, built once for a test file, and an older version of them to upgrade from.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { must } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";

export const packageNames = ["kvm-tap", "cockpit-kvm-tap"] as const;

export interface Built {
    /** Where they and the files beside them are. */
    directory: string;
    /** Paths of the .deb files by package name; `older` is 0.0.9, with other words in its conffile. */
    debs: Record<string, string>;
    older: Record<string, string>;
    rpms: Record<string, string>;
    olderRpms: Record<string, string>;
}

/** make under a lock: test files that run side by side build into the same output/. */
export const locked = (script: string) => must(["sh", "-c", 'mkdir -p output && exec flock output/packages.lock sh -euc "$0"', script]);

/** `make deb rpm`, and both again as version 0.0.9, in a directory of this test file's own. Takes some seconds. */
export async function buildPackages(): Promise<Built> {
    const directory = mkdtempSync(join(tmpdir(), "kvm-tap-packages-"));
    await locked(`make --silent deb rpm
        cp output/deb/* output/rpm/RPMS/noarch/* output/rpm/SRPMS/* output/kvm-tap-*.tar.xz '${directory}' 2>/dev/null || :`);
    const debs = find(directory, ".deb"), rpms = find(directory, ".noarch.rpm");
    return { directory, debs, rpms, older: await olderDebs(directory, debs), olderRpms: await olderRpmsOf(directory) };
}

function find(directory: string, ending: string): Record<string, string> {
    const files = readdirSync(directory).filter(file => file.endsWith(ending));
    return Object.fromEntries(packageNames.map(name => {
        const file = files.find(candidate => candidate.replace(/[_-]\d.*/, "") === name);
        if (file === undefined)
            throw new Error(`no package ${name} in ${directory}`);
        return [name, join(directory, file)];
    }));
}

async function olderDebs(directory: string, debs: Record<string, string>): Promise<Record<string, string>> {
    mkdirSync(join(directory, "older"));
    const made: Record<string, string> = {};
    for (const [name, deb] of Object.entries(debs)) {
        const tree = join(directory, `${name}.tree`);
        await must(["dpkg-deb", "--raw-extract", deb, tree]);
        await must(["sed", "-i", "s/^Version: .*/Version: 0.0.9-1/; s/(>= 0[.].*)/(>= 0.0.9)/", join(tree, "DEBIAN/control")]);
        const hook = join(tree, "etc/libvirt/hooks/qemu.d/50-kvm-tap");
        if (existsSync(hook))
            writeFileSync(hook, `${readFileSync(hook, "utf8")}# as it was in 0.0.9\n`);
        made[name] = join(directory, "older", `${name}_0.0.9-1_all.deb`);
        await must(["dpkg-deb", "--root-owner-group", "--build", tree, made[name]]);
    }
    return made;
}

async function olderRpmsOf(directory: string): Promise<Record<string, string>> {
    const spec = readFileSync("pkg/kvm-tap.spec", "utf8");
    const [, released = ""] = /^Version:\s*(\S+)/m.exec(spec) ?? [];
    const older = spec.replace(/^Version:.*$/m, "Version: 0.0.9").replace("%{name}-%{version}.tar.xz", `%{name}-${released}.tar.xz`)
        .replace("%autosetup", `%autosetup -n kvm-tap-${released}`);
    writeFileSync(join(directory, "older.spec"), older);
    await must(["rpmbuild", "--quiet", "--nodeps", "--define", `_topdir ${directory}/older-rpm`, "--define", `_sourcedir ${directory}`,
        "-bb", join(directory, "older.spec")]);
    return find(join(directory, "older-rpm/RPMS/noarch"), ".noarch.rpm");
}

/** Copies packages into the host's /root; answers their names there. */
export function bring(host: TestHost, packages: Record<string, string>): string[] {
    return Object.values(packages).map(file => {
        const name = basename(file);
        copyFileSync(file, join(host.root, "root", name));
        return `/root/${name}`;
    });
}
