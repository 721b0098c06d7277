// SPDX-License-Identifier: LGPL-2.1-or-later
// A loopback port of this machine that leads into a test host: for a browser outside. Nothing of the machine's network is changed.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TestHost } from "./host.ts";
import { kernel } from "./kernel.ts";

/** Forwards 127.0.0.1:`port` (another one if it is taken) to a port on the host's own loopback; answers the port. */
export async function forward(host: TestHost, port: number, to = 9090): Promise<number> {
    const busybox = join(await kernel(), "busybox");
    const server = createServer(connection => {
        const inside = spawn("nsenter", [`--net=/run/netns/${host.namespace}`, "--", busybox, "nc", "127.0.0.1", String(to)],
            { stdio: ["pipe", "pipe", "ignore"] });
        connection.pipe(inside.stdin);
        inside.stdout.pipe(connection);
        connection.on("error", () => inside.kill()).on("close", () => inside.kill());
        inside.stdin.on("error", () => connection.destroy());
        inside.on("close", () => connection.destroy());
    });
    const listen = (wanted: number) => new Promise<number>((resolve, reject) => {
        server.once("error", reject);
        server.listen(wanted, "127.0.0.1", () => {
            const address = server.address();
            resolve(address !== null && typeof address === "object" ? address.port : wanted);
        });
    });
    return listen(port).catch(() => listen(0));
}
