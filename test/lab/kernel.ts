// SPDX-License-Identifier: LGPL-2.1-or-later
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "./exec.ts";
import { cache, top } from "./trees.ts";

/** The directory with vmlinuz, initrd and a static busybox; made when it is missing (a download of 27 MB). */
export async function kernel(): Promise<string> {
    const script = join(top, "test/lab/guest-kernel.sh");
    const key = createHash("sha256").update(readFileSync(script)).update(readFileSync(join(top, "test/lab/guest-init.sh"))).digest("hex");
    const directory = join(cache, `guest-${key.slice(0, 12)}`);
    if (!existsSync(directory)) {
        mkdirSync(cache, { recursive: true });
        process.stderr.write("lab: fetching the guests' kernel\n");
        await must(["flock", `${directory}.lock`, "sh", script, directory]);
    }
    return directory;
}
