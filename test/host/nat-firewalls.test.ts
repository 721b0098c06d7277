// SPDX-License-Identifier: LGPL-2.1-or-later
// "Will it work?" beside the firewalls that hosts really have. Each is set up by its own program; what the page says of a mapping is then
// held against packets, in both directions: what it calls dropped is dropped, what it finds no fault with passes.
import { planEnableMappings, planMapAddress, planRemoveMappings } from "../../src/actions/map-address.ts";
import { readForwarding } from "../../src/host/nat.ts";
import { inEnglish } from "../../src/model/message.ts";
import { currentState, natReading } from "../../src/model/nat-reading.ts";
import { findings } from "../../src/model/nat-works.ts";
import { mappingKey } from "../../src/model/nat.ts";
import { install } from "../lab/debs.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { cases } from "./firewall-cases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, internetPlace, pings, serve, type Place } from "./nat-lab.ts";

const PORT = 7000;

await eachRelease(release => {
    const mine = cases.filter(({ on }) => everything || on === release);
    let host: TestHost;
    let page: Page;
    let internet: Place, charon: Place;

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        const packages = [...new Set(mine.flatMap(each => each.packages ?? []))];
        if (packages.length > 0) {
            await install(host, packages, { started: false });
            // systemd reads the new units.
            await host.run(["systemctl", "daemon-reload"]);
            await host.run(["systemctl", "reload", "dbus"]);
        }
        page = new Page(host);
        internet = internetPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        await Promise.all([charon, internet].map(place => serve(place, PORT)));
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
    }, 120_000);
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    /** What the page shows at the mapping, but for what is merely said. */
    async function says(key: string): Promise<string[]> {
        const snapshot = await page.read();
        const reading = natReading(snapshot);
        if (reading.state !== "read")
            throw new Error(reading.state);
        const mapping = currentState(reading.value).mappings.find(each => mappingKey(each) === key);
        const around = await readForwarding(host.machine);
        expect(around.unread).toEqual([]);
        return mapping ? findings(snapshot, reading.value, mapping, around).map(finding => inEnglish(finding.says)) : ["no mapping"];
    }

    /** Maps the guest in libvirt's network and answers in it, for as long as `body` runs. */
    async function withVirtual(body: () => Promise<void>): Promise<void> {
        await page.readUntil("libvirt's network", ({ routes }) =>
            routes.state === "read" && routes.value.some(({ destination }) => destination === "192.168.150.0/24"));
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.12", guest: "192.168.150.2" }));
        await body();
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.12"]));
    }

    test("a port that a container publishes at every address of the host is not reached at an address whose mapping is disabled", async () => {
        // The guest plays the container.
        await host.sh(`iptables-nft -t nat -A PREROUTING -p tcp --dport ${PORT + 1} -m addrtype --dst-type LOCAL -j DNAT --to 10.0.0.2:${PORT}`);
        expect(await ask(internet, "tcp", host.address(), PORT + 1)).not.toBeNull();
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], false));
        expect(await ask(internet, "tcp", "203.0.113.10", PORT + 1)).toBeNull();
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], true));
        await host.sh("iptables-nft -t nat -F; iptables-nft -t nat -X");
    }, 30_000);

    test.each(mine)("$firewall", async ({ set, clear, says: wished, in: inward, out, ping, mapping = "charon" }) => {
        expect(await says("203.0.113.10")).toEqual([]);
        const key = mapping === "charon" ? "203.0.113.10" : "203.0.113.12";
        const check = async () => {
            const place = mapping === "charon" ? charon : { enter: ["nsenter", `--net=/proc/${host.leader}/root/run/netns/virtual`, "--"] };
            if (mapping === "virtual")
                await serve(place, PORT);
            const seen = await says(key);
            expect(seen).toHaveLength(wished.length);
            wished.forEach((pattern, index) => expect(seen[index]).toMatch(pattern));
            const [to, from, echo] = await Promise.all([
                ask(internet, "tcp", key, PORT), ask(place, "tcp", far.address, PORT), pings(internet, key),
            ]);
            expect({ in: to !== null, out: from !== null, ping: echo }).toEqual({ in: inward, out, ping: ping ?? inward });
        };
        await host.sh(set);
        try {
            await (mapping === "virtual" ? withVirtual(check) : check());
        } finally {
            await host.sh(clear);
        }
    }, 60_000);
});
