// SPDX-License-Identifier: LGPL-2.1-or-later
// The packet test: pkg/host/kvm-tap-trace, which runs as a unit of its own and takes away what it made, whatever becomes of the page.
import { CommandError, type Machine } from "./run.ts";

export const TRACE_HELPER = "/usr/lib/kvm-tap/kvm-tap-trace";
const UNIT = "kvm-tap-trace.service";

export interface PacketTest {
    public: string;
    guest: string;
    uplink: string;
    /** `wait`: for packets that really come, without sending any. */
    kind: "ping" | "tcp" | "wait";
    /** Whom the packet seems to come from; empty only with `wait`: anybody. */
    from: string;
    /** Of TCP. */
    port: string;
}

export interface PacketTestHandlers {
    /** What was traced since the last call, line by line. */
    lines(lines: readonly string[]): void;
    /** It is over; with the tool's words where it could not run. */
    end(error?: CommandError): void;
}

/** The helper's command line. */
export function packetTestArguments({ public: outside, guest, uplink, kind, from, port }: PacketTest): string[] {
    return [TRACE_HELPER, outside, guest, uplink, kind, ...(from === "" ? [] : [from]), ...(kind === "tcp" ? [port] : [])];
}

/** Starts a test; `close` ends it on the host, too. */
export function startPacketTest(machine: Machine, test: PacketTest, handlers: PacketTestHandlers): { close(): void } {
    let rest = "";
    let running = true;
    const stream = machine.stream(packetTestArguments(test), {
        data: chunk => {
            const lines = (rest + chunk).split("\n");
            rest = lines.pop() ?? "";
            if (lines.length > 0)
                handlers.lines(lines);
        },
        end: error => {
            running = false;
            handlers.end(error);
        },
    }, { superuser: "require" });
    return {
        close: () => {
            if (!running)
                return;
            running = false;
            stream.close();
            // The unit outlives whoever started it, and ends by itself after a minute: so a failure here matters little.
            machine.run(["systemctl", "stop", UNIT], { superuser: "require" }).catch(() => undefined);
        },
    };
}
