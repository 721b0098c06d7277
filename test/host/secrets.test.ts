// SPDX-License-Identifier: LGPL-2.1-or-later
// Private keys and passwords of a host's network and guests: nothing that the page reads has one, and it knows what it has to know.
import type { Machine } from "../../src/host/run.ts";
import { madeAtBoot } from "../../src/model/boot-provider.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { saidSysctls } from "../../src/model/steering.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { hostFiles, tapFile } from "./host-files.ts";
import { given, watching, type Watching } from "./watching.ts";

/** Each secret has the word HUSH in it. */
const SECRETS: Record<string, string> = {
    "/etc/systemd/network/50-wg0.netdev": `[NetDev]\nName=wg0\nKind=wireguard\n\n[WireGuard]\nPrivateKey=HUSHnetworkd=\n
[WireGuardPeer]\nPresharedKey=HUSHpeer=\nPublicKey=x\n`,
    "/etc/systemd/network/50-wg0.netdev.d/key.conf": "[WireGuard]\nPrivateKey=HUSHdropin\n",
    "/etc/systemd/network/50-macsec0.netdev": "[NetDev]\nKind=macsec\nName=macsec0\n[MACsecTransmitAssociation]\nKey=HUSHmacsec\n",
    "/etc/systemd/network/60-tap.netdev": "# HUSHcomment\n[NetDev]\n name = netd0 \nKIND=tap\nDescription=HUSH Name=x\n",
    "/etc/systemd/network/60-wwan.network": "[Match]\nName=wwan0\n[MobileNetwork]\nPassword=HUSHnetwork\nIPv6AcceptRA=HUSH ra\n",
    "/run/systemd/network/10-ra.network.d/ra.conf": "[Match]\nName=HUSH\n[Network]\n IPv6AcceptRA = yes\n# IPv6AcceptRA=HUSH\n",
    "/run/systemd/network/10-netplan-wg1.netdev": "[NetDev]\nName=wg1\nKind=wireguard\n[WireGuard]\nPrivateKey=HUSHnetplan\n",
    "/run/systemd/network/10-netplan-plan0.netdev": "[NetDev]\nName=plan0\nKind=tap\n[Tap]\nGroup=HUSH\n",
    "/etc/netplan/50.yaml": "network:\n  tunnels:\n    wg1: {mode: wireguard, key: HUSHyaml}\n  wifis: {wlan0: {access-points: {x: {password: HUSHwifi}}}}\n",
    "/etc/NetworkManager/system-connections/wifi.nmconnection": `[connection]\nid=x\ntype=wifi\ninterface-name=wlan1\n
[wifi-security]\npsk=HUSHpsk\n[802-1x]\nprivate-key-password=HUSH8021x\npassword=HUSHpassword\n`,
    "/etc/NetworkManager/system-connections/wg.nmconnection": "[connection]\ntype=wireguard\ninterface-name=wg2\n[wireguard]\nprivate-key=HUSHnm\n",
    "/etc/NetworkManager/system-connections/vpn.nmconnection": "[connection]\ntype=vpn\n[vpn-secrets]\nsecret=HUSHvpn\n",
    "/etc/network/interfaces": `source interfaces.d/*
auto lo wlan2 up0 # HUSHauto
iface wlan2 inet dhcp
    wpa-psk HUSHwpa
    wireless-key s:HUSHwep \\
        tunctl HUSHcontinued
iface up0 inet manual
    pre-up echo HUSHwg | wg set wg3 private-key /dev/stdin; KEY=HUSHvariable ip tuntap \\
        add dev $IFACE mode tap && for name in many0 many1; do ip tuntap add $name mode tap; done || true HUSHafter
    up PASS="a HUSHquoted" ip tuntap add quoted0 mode tap
    up sshpass -pHUSHssh ssh h /sbin/ip tuntap add remote0 mode tap # HUSHbehind
    pre-up HUSHbefore; sh -c 'ip tuntap add dev quoted1 mode tap'
    up for key in HUSHkey; do wg set wg3 peer $key; done
    post-up ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp enc HUSHxfrm
    # ip tuntap add HUSHremark \\
    password HUSH; ip tuntap add x mode tap
`,
    "/etc/network/interfaces.d/ppp": "auto dsl\niface dsl inet ppp\n    provider dsl\n    password HUSHppp\n    pre-up tunctl -t ppp0tap\n",
    "/etc/network/interfaces.d/uml": "auto uml0\niface uml0 inet static\n\ttunctl_user root\n\twpa-psk HUSHtab",
    "/etc/wireguard/wg0.conf": "[Interface]\nPrivateKey=HUSHconf\n",
    "/etc/ppp/chap-secrets": "me * HUSHchap\n",
    "/etc/sysctl.d/50-net.conf": `net.ipv4.tcp_fastopen_key = HUSH-fastopen\nnet/ipv6/conf/default/stable_secret = HUSHstable
kernel.core_pattern = |/bin/x HUSHcore\n-net.ipv4.conf.all.rp_filter = 2\n# HUSH\n`,
    "/etc/kvm-tap/styx0.tap": tapFile("styx0", "10.0.0.2"),
    "/etc/kvm-tap/notes": "HUSHnotes\n",
};

const VNC = "<graphics type='vnc' port='-1' passwd='HUSHvnc1'/>";

/** A machine that notes all that travels to the page. */
function overheard(machine: Machine) {
    const answers: string[] = [];
    const noted = (what: string, answer: string) => {
        answers.push(...answer.split(/[\n\0]/).filter(line => line.includes("HUSH")).map(line => `${what}: ${line}`));
        return answer;
    };
    return {
        answers,
        machine: {
            ...machine,
            run: async (argv, options) => noted(argv[0] ?? "", await machine.run(argv, options)),
            stream: (argv, handlers, options) => machine.stream(argv, { ...handlers, data: chunk => handlers.data(noted(argv[0] ?? "", chunk)) }, options),
            read: async path => {
                const content = await machine.read(path);
                return content === null ? null : noted(path, content);
            },
        } satisfies Machine,
    };
}

await eachRelease(release => {
    let host: TestHost;
    let seen: Watching;
    let answers: readonly string[];
    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        for (const [path, content] of Object.entries(SECRETS)) {
            await host.run(["mkdir", "-p", path.replace(/[^/]*$/, "")]);
            await host.run(["sh", "-c", "cat > \"$0\"", path], content);
        }
        await defineGuest(host, { name: "styx", interfaces: [ethernet("styx0")], devices: VNC });
        const heard = overheard(host.machine);
        answers = heard.answers;
        seen = await watching(host, heard.machine);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    test("no private key and no password is read, of whatever file or guest", async () => {
        expect(await host.sh("virsh dumpxml styx --security-info")).toContain("HUSHvnc1");
        seen.show({ traffic: true, sysctls: true });
        seen.retry();
        await seen.until("the guest, and the settings", now => given(now.guests)[0]?.configured && now.deviceSysctls.state === "read");
        expect(answers).toEqual([]);
    });

    test("a directory that is named like a file hides no other", async () => {
        await host.sh("mkdir /etc/kvm-tap/a.tap /etc/sysctl.d/60-kvm-tap-a.conf; cp /etc/kvm-tap/styx0.tap /etc/kvm-tap/late0.tap");
        await seen.until("the file beside it", now => given(now.files).has("/etc/kvm-tap/late0.tap"));
        expect(given(seen.snapshot().files).has("/etc/kvm-tap/a.tap")).toBe(false);
        await host.sh("rmdir /etc/kvm-tap/a.tap /etc/sysctl.d/60-kvm-tap-a.conf; rm /etc/kvm-tap/late0.tap");
    });

    test("what those files say of devices and settings is known all the same; ours are whole", () => {
        const services = new Map([["networking.service", "active"], ["systemd-networkd.service", "active"], ["NetworkManager.service", "active"]]);
        const now: Snapshot = { ...seen.snapshot(), services: { state: "read", value: services } };
        const by = (name: string) => {
            const provider = madeAtBoot(now, name);
            return typeof provider === "object" ? `${provider.by} ${provider.path}` : provider;
        };
        expect(["netd0", "plan0", "up0", "many0", "many1", "quoted0", "quoted1", "remote0", "ppp0tap", "uml0", "wg0", "wg1", "macsec0", "wlan2", "x"].map(by)).toEqual([
            "networkd /etc/systemd/network/60-tap.netdev", "networkd /run/systemd/network/10-netplan-plan0.netdev",
            ...Array<string>(6).fill("ifupdown /etc/network/interfaces"),
            "ifupdown /etc/network/interfaces.d/ppp", "ifupdown /etc/network/interfaces.d/uml", ...Array<string>(5).fill("nothing"),
        ]);
        const files = given(now.files);
        expect(saidSysctls(files).get("net/ipv4/conf/all/rp_filter")).toEqual(
            { key: "net/ipv4/conf/all/rp_filter", value: "2", path: "/etc/sysctl.d/50-net.conf" });
        expect(files.get("/etc/kvm-tap/styx0.tap")?.content).toBe(SECRETS["/etc/kvm-tap/styx0.tap"]);
        expect(files.has("/etc/kvm-tap/notes")).toBe(false);
        expect(files.get("/run/systemd/network/10-ra.network.d/ra.conf")?.content).toBe(" IPv6AcceptRA = yes\n");
    });
});
