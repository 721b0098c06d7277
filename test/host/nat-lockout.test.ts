// SPDX-License-Identifier: LGPL-2.1-or-later
// A mapping that takes over the host's own address: cuts new connections to the host, is put back by the host within the
// announced time, or kept once it is confirmed; a reboot in between is a revert, too.
import { planMapAddress, planRemoveMappings } from "../../src/actions/map-address.ts";
import { CONFIRM_SECONDS } from "../../src/actions/nat-plan.ts";
import { changeStatus, confirmChange, keepChange } from "../../src/host/nat.ts";
import { inEnglish } from "../../src/model/message.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, hold, hostPlace, internetPlace, planOf, serve, type Place } from "./nat-lab.ts";

/** Of the host alone: what Cockpit's port is to the administrator. */
const HOST_PORT = 7001;
const GUEST_PORT = 7000;
const OWN = "203.0.113.1";

await eachRelease(release => {
    // make check: one release; systemd's timers are the same in all.
    if (!everything && release !== "trixie") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost;
    let page: Page;
    let internet: Place;

    const begin = async () => {
        internet = internetPlace(host);
        await Promise.all([serve(await emulate(host, "charon", "10.0.0.2", "fd00::2"), GUEST_PORT), serve(hostPlace(host), HOST_PORT)]);
        page = new Page(host);
    };
    const hostAnswers = async () => await ask(internet, "tcp", OWN, HOST_PORT) !== null;
    const guestAnswers = async () => await ask(internet, "tcp", OWN, GUEST_PORT) !== null;
    const arm = async () => {
        const plan = planOf(planMapAddress(await page.read(), { public: OWN, guest: "10.0.0.2", acceptOwnAddress: true }));
        expect(plan.confirm).toEqual({ seconds: CONFIRM_SECONDS });
        expect(await page.execute(plan)).toMatchObject({ state: "done", holds: true });
    };
    const saved = () => host.machine.read("/etc/kvm-tap/nat.nft");

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        await begin();
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("refused unless the person says that the host's own address is meant", async () => {
        const planned = planMapAddress(await page.read(), { public: OWN, guest: "10.0.0.2" });
        expect("problems" in planned && planned.problems.map(({ field, says }) => [field, inEnglish(says)])).toEqual([
            ["public", "203.0.113.1 is this host's own address on eth0. Everything sent to the host there would go to the guest instead."],
        ]);
    });

    test("not confirmed: new connections are cut, the open one goes on, and the host puts it back in time", async () => {
        const administrator = await hold(internet, OWN, HOST_PORT);
        await arm();
        const armed = Date.now();
        expect(await changeStatus(host.machine)).toMatchObject({ state: "pending" });
        expect([await hostAnswers(), await guestAnswers()]).toEqual([false, true]);
        expect(administrator.state()).toBe("open");
        expect(await saved()).toBeNull();
        await until("the host to put it back", hostAnswers, CONFIRM_SECONDS + 5);
        expect(Date.now() - armed).toBeLessThan((CONFIRM_SECONDS + 2) * 1000);
        const status = await until("the news of it", async () => {
            const now = await changeStatus(host.machine);
            return now.state === "pending" ? null : now;
        });
        expect(status).toEqual({ state: "reverted", reason: `nobody confirmed it within ${CONFIRM_SECONDS} s` });
        expect(await host.sh("journalctl -t kvm-tap KVM_TAP_EVENT=nat-reverted -o cat")).toContain("the last change was put back");
        expect(await guestAnswers()).toBe(false);
        expect(administrator.state()).toBe("open");
    });

    test("kept anyway: runs again and is saved", async () => {
        await keepChange(host.machine);
        expect([await hostAnswers(), await guestAnswers()]).toEqual([false, true]);
        expect(await saved()).toContain("203.0.113.1 : 10.0.0.2");
        expect(await changeStatus(host.machine)).toEqual({ state: "none" });
        await page.readUntil("the saved mapping to be seen", snapshot => JSON.stringify([...snapshot.files.state === "read"
            ? snapshot.files.value.keys() : []]).includes("nat.nft"));
        await page.change(snapshot => planRemoveMappings(snapshot, [OWN]));
        expect([await hostAnswers(), await guestAnswers()]).toEqual([true, false]);
    });

    test("a reboot before the confirmation is a revert; confirmed, it survives one", async () => {
        await arm();
        expect(await hostAnswers()).toBe(false);
        page.close();
        endPrograms();
        await host.reboot();
        await begin();
        expect([await hostAnswers(), await guestAnswers()]).toEqual([true, false]);
        await arm();
        await confirmChange(host.machine);
        expect(await changeStatus(host.machine)).toEqual({ state: "none" });
        page.close();
        endPrograms();
        await host.reboot();
        await begin();
        expect([await hostAnswers(), await guestAnswers()]).toEqual([false, true]);
    });
});
