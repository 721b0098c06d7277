// SPDX-License-Identifier: LGPL-2.1-or-later
// The settings of all links that model/steering.ts judges: in one go whatever their number, again and again while they are on the
// screen, since the kernel announces their changes to nobody.
import { msg } from "../model/message.ts";
import { JUDGED } from "../model/steering.ts";
import { Coalesce } from "./coalesce.ts";
import { failed, read, type Update } from "./reading.ts";
import type { Machine } from "./run.ts";

/** The shell finds the files in half of the time that grep would need, which looks into each of thirty a link. */
const FILES = JUDGED.flatMap(name => ["ipv4", "ipv6"].map(ip => `net/${ip}/conf/*/${name}`)).join(" ");
const COMMAND = ["sh", "-c", `cd /proc/sys && printf '%s\\0' ${FILES} | xargs -0 grep -sH ''`] as const;
/** With a thousand links a look takes the host 0.4 s. */
const INTERVAL = 20_000;

const SENTENCES = {
    missing: msg("grep is not installed."),
    failed: msg("The kernel's settings of the links cannot be read."),
};

/** Lines `net/ipv4/conf/NAME/rp_filter:1`; no name of a link has a colon. */
export function sysctlsIn(output: string): Map<string, string> {
    return new Map([...output.matchAll(/^(net\/[^:\n]+):(.*)$/gm)].map(([, key = "", value = ""]) => [key, value]));
}

export class SysctlWatch {
    #timer: ReturnType<typeof setInterval> | undefined;
    #work = new Coalesce(() => this.#read());

    constructor(readonly machine: Machine, readonly update: Update) {}

    show(on: boolean) {
        clearInterval(this.#timer);
        if (!on)
            return;
        this.#timer = setInterval(() => void this.#work.request(), INTERVAL);
        void this.#work.request();
    }

    readAll(): Promise<void> {
        return this.#work.request();
    }

    close() {
        clearInterval(this.#timer);
        this.#work.close();
    }

    async #read() {
        try {
            // xargs(1), 123: grep found not all, for example without IPv6 in this kernel, or of a link that went meanwhile.
            this.update({ deviceSysctls: read(sysctlsIn(await this.machine.run(COMMAND, { accept: [123] }))) });
        } catch (error) {
            this.update({ deviceSysctls: failed(error, SENTENCES) });
        }
    }
}
