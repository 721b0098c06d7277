// SPDX-License-Identifier: LGPL-2.1-or-later
// Where the parts of a running test host are, by its name. keeper.sh removes them by the same names.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** `root` (the host's tree), `upper` and `work` below it, logs. */
export const directoryOf = (name: string) => join("/var/tmp/kvm-tap-lab", name);

/** All processes of the host and of its internet. */
export const cgroupOf = (name: string) => join(unifiedCgroup(), "kvm-tap-lab", name);

export const namespaceOf = (name: string) => `kvm-tap-lab.${name}`;

/** Where the unified cgroup hierarchy is mounted: /sys/fs/cgroup, or below it on a hybrid machine. */
function unifiedCgroup(): string {
    const mount = readFileSync("/proc/mounts", "utf8").split("\n").map(line => line.split(" ")).find(field => field[2] === "cgroup2");
    if (!mount?.[1])
        throw new Error("lab: needs a mounted cgroup2 file system");
    return mount[1];
}
