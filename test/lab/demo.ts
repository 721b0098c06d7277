// SPDX-License-Identifier: LGPL-2.1-or-later
// `make run`: a host to try the page on, until Ctrl-C.
//
// charon   as in the thread: off; its device was made by hand, the next start fails and deletes it
// styx     runs on a device of kvm-tap@styx0.service with managed='no': protected, and reached at a public address
// lethe    runs on a device that libvirt made; its configured definition wants a protected one that nobody has made yet
import { parsePrefix, type Prefix } from "../../src/model/nat-address.ts";
import { NAT_FILE, natFile } from "../../src/model/nat-file.ts";
import { charon, defineCharon, handMadeDevice } from "./charon.ts";
import { forward } from "./forward.ts";
import { defineGuest, ethernet } from "./guest.ts";
import { login, startHost, type TestHost } from "./host.ts";

const styxDevice = `# description: the web server
tuntap add dev styx0 mode tap
link set dev styx0 addrgenmode none
link set dev styx0 up
address replace 169.254.0.1/32 dev styx0
route replace 10.0.0.3/32 dev styx0
`;

const publicAddress = "203.0.113.11";

function single(address: string): Prefix {
    const prefix = parsePrefix(address);
    if (!prefix)
        throw new Error(address);
    return prefix;
}

const mapping = natFile({
    uplinks: ["eth0"],
    devices: [{ name: "styx0", guarded: true, shared: false }],
    mappings: [{
        public: single(publicAddress), guest: single("10.0.0.3"), description: "the web server", enabled: true, claimed: true, log: false,
    }],
});

async function addGuests(host: TestHost): Promise<void> {
    await defineCharon(host);

    const styx = await defineGuest(host, {
        name: "styx", interfaces: [ethernet("styx0", { mac: "52:54:00:57:79:78", managed: "no" })], boots: [{ address: "10.0.0.3" }],
    });
    await styx.virsh("autostart");
    await styx.start();

    const mac = "52:54:00:1e:7e:01";
    const lethe = await defineGuest(host, { name: "lethe", interfaces: [ethernet("lethe0", { mac })], boots: [{ address: "10.0.0.4" }] });
    await lethe.start();
    await host.sh("ip address add 169.254.0.1/32 dev lethe0; ip route add 10.0.0.4/32 dev lethe0");
    await host.run(["virsh", "update-device", lethe.uuid, "/dev/stdin", "--config"], ethernet("lethe0", { mac, managed: "no" }));
}

console.log("Booting the demo host …");
const host = await startHost({
    release: "trixie",
    name: `kvm-tap-demo-${process.pid}`,
    plugin: true,
    files: {
        ...handMadeDevice.files,
        "/etc/kvm-tap/styx0.tap": styxDevice,
        [NAT_FILE]: mapping,
    },
    enable: [...handMadeDevice.enable, "kvm-tap@styx0.service", "kvm-tap-nat.service", "kvm-tap-nat-announce.service"],
});
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
        console.log("\nRemoving it …");
        void host.stop().then(() => process.exit(0));
    });
}
await addGuests(host);
const port = await forward(host, Number(process.env["PORT"] ?? 9090));

console.log(`
  Cockpit      http://127.0.0.1:${port}/kvm-tap     user ${login.user}, password ${login.password}
               ("Limited access" at the top gives administrative access, with the same password)
  guests       charon (off, ${charon.device} made by hand), styx (running, protected), lethe (running, not protected)
  public       ${publicAddress} is mapped to styx; 203.0.113.12 to 203.0.113.199 are free
  a client     test/lab/lab internet ${host.name} curl http://${publicAddress}/
  a shell      test/lab/lab shell ${host.name}

Ctrl-C ends it and removes everything.`);
