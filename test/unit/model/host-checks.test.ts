// SPDX-License-Identifier: LGPL-2.1-or-later
import { firewalls, hostChecks, rule } from "../../../src/model/host-checks.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import type { HookState, Snapshot } from "../../../src/model/snapshot.ts";
import { failing, fixture } from "../../harness/fixture.ts";

const read = <T>(value: T) => ({ state: "read" as const, value });
const check = (snapshot: Snapshot, id: string) => hostChecks(snapshot).find(found => found.id === id);

test.each<[HookState, string, string | undefined]>([
    [{ installed: true, inEffect: true }, "success", undefined],
    [{ installed: true, inEffect: false }, "danger", "restart-libvirt"], // lethe runs on its old definition
    [{ installed: true, inEffect: "unknown" }, "danger", "restart-libvirt"],
    [{ installed: false, inEffect: false }, "warning", undefined],
])("hook %j is a %s, cured by %s", (hook, severity, cure) => {
    expect(check({ ...fixture(), hook: read(hook) }, "hook")).toMatchObject({ severity });
    expect(check({ ...fixture(), hook: read(hook) }, "hook")?.cure).toBe(cure);
});

test("a hook that nobody waits for yet is no danger", () => {
    const now = { ...fixture(), guests: read([]), hook: read({ installed: true, inEffect: false as const }) };
    expect(check(now, "hook")).toMatchObject({ severity: "warning", cure: "restart-libvirt" });
});

test.each([
    ["11.3.0", undefined, /failed start deletes it/], ["9.0.0", "9.0.0-4+deb12u2", /failed start deletes it/], ["9.0.0", "9.0.0-4.fc38", /not known/],
    ["9.0.0", undefined, /upstream's 9\.0\.0/], ["8.0.0", undefined, /deleted when the guest stops/], ["5.7.0", undefined, /ignores managed='no'/],
    ["1.2.0", undefined, /not known/],
])("libvirt %s (%s)", (version, packageVersion, text) => {
    expect(inEnglish(rule({ version, driver: "QEMU", ...packageVersion !== undefined && { packageVersion } }))).toMatch(text);
});

test("the worst comes first, and devices at risk are named, ten of many", () => {
    const [first] = hostChecks(fixture());
    expect(first?.severity).toBe("danger");
    expect(inEnglish(check(fixture(), "risk")?.says ?? msg(""))).toBe("Devices that libvirt will delete: acheron0, charon_pvnet1");
    expect(inEnglish(check(fixture(100), "risk")?.says ?? msg(""))).toMatch(/ and 15 more$/);
});

test("libvirt that does not answer: its own words, and the start as a cure", () => {
    expect(check(failing(), "libvirt")).toMatchObject({ severity: "danger", cure: "start-libvirt", words: expect.stringContaining("libvirt-sock") as string });
});

test("only what systemd knows is listed", () => {
    expect(firewalls({ ...fixture(), services: read(new Map([["firewalld.service", "active"], ["ufw.service", "inactive"]])) })
        .map(({ name, active }) => [name, active])).toEqual([["firewalld", true], ["ufw", false]]);
});
