// SPDX-License-Identifier: LGPL-2.1-or-later
// A host with something of everything on it, for tests that look at all pages.
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";

const mac = (number: number) => `52:54:00:aa:00:0${number}`;

/** charon as in the thread; styx protected and running; lethe on a device of libvirt's; acheron without its device; cocytus on a bridge. */
export async function furnishDemo(host: TestHost): Promise<void> {
    await host.sh(`
        ip tuntap add dev charon_pvnet1 mode tap
        ip link set dev charon_pvnet1 up
        ip address replace 169.254.0.1/32 dev charon_pvnet1
        ip route replace 10.0.0.2/32 dev charon_pvnet1
        cat > /etc/kvm-tap/styx0.tap <<EOF
# description: styx, mail
tuntap add dev styx0 mode tap
link set dev styx0 addrgenmode none
link set dev styx0 up
address replace 169.254.0.1/32 dev styx0
route replace 10.0.0.3/32 dev styx0
EOF
        systemctl enable --now kvm-tap@styx0.service`);
    await defineGuest(host, {
        name: "charon", uuid: "08a3af0e-f145-54c6-30a2-efdab5478523",
        interfaces: [ethernet("charon_pvnet1", { mac: "52:54:00:25:6f:3f", inside: "<script path='/bin/true'/>" })],
    });
    const running = [
        await defineGuest(host, { name: "styx", interfaces: [ethernet("styx0", { mac: mac(1), managed: "no" })] }),
        await defineGuest(host, { name: "lethe", interfaces: [ethernet("lethe0", { mac: mac(2) })] }),
    ];
    await defineGuest(host, { name: "acheron", interfaces: [ethernet("acheron0", { mac: mac(3), managed: "no" })] });
    await defineGuest(host, {
        name: "cocytus", interfaces: [ethernet("cocytus0", { mac: mac(4) }), `<interface type='bridge'><source bridge='br7'/></interface>`],
    });
    for (const guest of running)
        await guest.start();
}
