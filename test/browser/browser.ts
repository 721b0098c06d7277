// SPDX-License-Identifier: LGPL-2.1-or-later
// A Chromium on a desk of its own on a test host's uplink segment, where an administrator's would be: it survives the host's reboot and is
// cut off when the host's network is. (In the internet's own namespace every link that comes or goes ends its requests with
// ERR_NETWORK_CHANGED.)
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { segments } from "../lab/internet.ts";
import type { TestHost } from "../lab/host.ts";

/** The desk's address, for tests that look at who is connected. */
export const desk = "203.0.113.200";

const flags = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    // Chromium throttles what it thinks nobody sees; the tests measure how soon a page follows.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
];

/** Starts Debian's Chromium. The desk's network goes with it; close it before the host is stopped. */
export async function startBrowser(host: TestHost): Promise<Browser> {
    const directory = mkdtempSync(join(tmpdir(), "kvm-tap-browser-"));
    const program = join(directory, "chromium");
    writeFileSync(program, launcher(host.internet.namespace));
    chmodSync(program, 0o755);
    const browser = await chromium.launch({ executablePath: program, args: flags, chromiumSandbox: false });
    browser.on("disconnected", () => rmSync(directory, { recursive: true, force: true }));
    return browser;
}

function launcher(internet: string): string {
    const [segment] = segments;
    return `#!/bin/sh
exec unshare --net -- sh -euc '
    echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip link set dev lo up
    ip link add name eth0 type veth peer name desk netns ${internet}
    ip -n ${internet} link set dev desk master ${segment?.bridge} up
    ip address add ${desk}/24 dev eth0
    ip link set dev eth0 up
    ip route add default via ${segment?.gateway}
    exec /usr/bin/chromium "$@"' chromium "$@"
`;
}
