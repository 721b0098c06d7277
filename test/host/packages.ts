// SPDX-License-Identifier: LGPL-2.1-or-later
// The packages of this checkout, built once for a test file, and an older version of them to upgrade from.
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { must } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";

export const packageNames = ["kvm-tap", "cockpit-kvm-tap"] as const;

export interface Built {
    /** Paths of the .deb files by package name; `older` is 0.0.9, with other words in its conffile. */
    debs: Record<string, string>;
    older: Record<string, string>;
    rpms: Record<string, string>;
    olderRpms: Record<string, string>;
}

/** `make deb rpm`, and both again as version 0.0.9. Takes some seconds. */
export async function buildPackages(): Promise<Built> {
    await must(["make", "--silent", "-f", "pkg/packages.mk", "deb", "rpm"]);
    const debs = find("output/deb", ".deb"), rpms = find("output/rpm/RPMS/noarch", ".rpm");
    return { debs, rpms, older: await olderDebs(debs), olderRpms: await olderRpmsOf() };
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

async function olderDebs(debs: Record<string, string>): Promise<Record<string, string>> {
    const made: Record<string, string> = {};
    for (const [name, deb] of Object.entries(debs)) {
        const directory = mkdtempSync(join(tmpdir(), "kvm-tap-deb-"));
        await must(["dpkg-deb", "--raw-extract", deb, join(directory, "tree")]);
        await must(["sed", "-i", "s/^Version: .*/Version: 0.0.9-1/; s/(>= 0[.].*)/(>= 0.0.9)/", join(directory, "tree/DEBIAN/control")]);
        const hook = join(directory, "tree/etc/libvirt/hooks/qemu.d/50-kvm-tap");
        if (existsSync(hook))
            writeFileSync(hook, `${readFileSync(hook, "utf8")}# as it was in 0.0.9\n`);
        made[name] = `output/deb/${name}_0.0.9-1_all.older-deb`;
        await must(["dpkg-deb", "--root-owner-group", "--build", join(directory, "tree"), made[name]]);
        rmSync(directory, { recursive: true });
    }
    return made;
}

async function olderRpmsOf(): Promise<Record<string, string>> {
    const spec = readFileSync("pkg/kvm-tap.spec", "utf8").replace(/^Version:.*$/m, "Version: 0.0.9").replace("%autosetup", "%autosetup -n kvm-tap-%{released}");
    const [, released = ""] = /^Version:\s*(\S+)/m.exec(readFileSync("pkg/kvm-tap.spec", "utf8")) ?? [];
    const directory = mkdtempSync(join(tmpdir(), "kvm-tap-rpm-"));
    writeFileSync(join(directory, "older.spec"), `%global released ${released}\n${spec.replace("%{name}-%{version}.tar.xz", "%{name}-%{released}.tar.xz")}`);
    await must(["rpmbuild", "--quiet", "--nodeps", "--define", `_topdir ${directory}`, "--define", `_sourcedir ${process.cwd()}/output`,
        "-bb", join(directory, "older.spec")]);
    return find(join(directory, "RPMS/noarch"), ".rpm");
}

/** Copies packages into the host's /root; answers their names there. */
export function bring(host: TestHost, packages: Record<string, string>): string[] {
    return Object.values(packages).map(file => {
        const name = basename(file).replace("older-deb", "deb");
        copyFileSync(file, join(host.root, "root", name));
        return `/root/${name}`;
    });
}
