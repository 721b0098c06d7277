// SPDX-License-Identifier: LGPL-2.1-or-later
// What a libvirt release does, as far as TAP devices are concerned. Where the version alone does not tell, there are
// several candidates, and an answer on which they differ is unknown.
import type { Libvirt } from "./snapshot.ts";

export interface Behaviour {
    /** `<target managed>` is parsed and heeded: 5.8.0 (77f72a8615, 7cd0911e1a). Older ones drop the attribute silently. */
    knowsManaged: boolean;
    /** What a start without managed='no' does with a device that exists: refused since 9.1.0 (d6a8b9eef7). */
    existing: "reused" | "refused";
    /** Upstream 9.0.0 set VIR_NETDEV_TAP_CREATE_ALLOW_EXISTING in the wrong branch (a2ae3d299c). */
    unmanagedIsBroken: boolean;
    /** bridge and network refuse a target that exists: 9.0.0. */
    bridgeRefusesExisting: boolean;
    /** Reverting a running guest stops and starts QEMU (9.0.0; in place up to 7.10). */
    revertRestarts: boolean;
    /** on_poweroff=restart works: 7.7.0. */
    poweroffCanRestart: boolean;
    /** A reset is a stop and a start: TDX guests of a libvirt after 11.3.0. */
    resetRecreates: boolean;
}

/** The newest release whose behaviour was measured. */
export const newestVerified = "12.8.0";

/** "11.3.0" as one number, in libvirt's own way (virVersion: major, minor, release); NaN for anything else. */
export function versionNumber(version: string): number {
    const parts = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
    return parts ? Number(parts[1]) * 1_000_000 + Number(parts[2]) * 1_000 + Number(parts[3] ?? "0") : NaN;
}

const known = new Map<string, readonly Behaviour[]>();

/** All that a libvirt may be like. None where nobody looked: older than 1.3.3, or a version that cannot be read. */
export function behaviours(libvirt: Pick<Libvirt, "version" | "packageVersion">, launchSecurity?: string): readonly Behaviour[] {
    const key = `${libvirt.version} ${libvirt.packageVersion ?? ""} ${launchSecurity ?? ""}`; // asked for every guest
    const found = known.get(key) ?? workOut(libvirt, launchSecurity);
    known.set(key, found);
    return found;
}

function workOut(libvirt: Pick<Libvirt, "version" | "packageVersion">, launchSecurity?: string): Behaviour[] {
    const version = versionNumber(libvirt.version);
    if (Number.isNaN(version) || version < versionNumber("1.3.3"))
        return [];
    const from = (release: string) => version >= versionNumber(release);
    const base = {
        knowsManaged: from("5.8.0"), bridgeRefusesExisting: from("9.0.0"), poweroffCanRestart: from("7.7.0"),
    };
    const reverts = from("9.0.0") ? [true] : from("8.0.0") ? [false, true] : [false];
    const recreates = launchSecurity === "tdx" && version > versionNumber("11.3.0") ? [false, true] : [false];
    return existingDevices(libvirt, version).flatMap(existing => reverts.flatMap(revertRestarts =>
        recreates.map(resetRecreates => ({ ...base, ...existing, revertRestarts, resetRecreates }))));
}

/** 9.0.0 is three things: upstream's, Debian's (which carries the fix of 9.1.0), and other distributions', which nobody looked at. */
function existingDevices({ packageVersion }: Pick<Libvirt, "packageVersion">, version: number) {
    const upstream = { existing: "reused", unmanagedIsBroken: true } as const;
    const fixed = { existing: "refused", unmanagedIsBroken: false } as const;
    if (version >= versionNumber("9.1.0"))
        return [fixed];
    if (version < versionNumber("9.0.0"))
        return [{ existing: "reused", unmanagedIsBroken: false } as const];
    if (packageVersion === undefined)
        return [upstream];
    return /^9\.0\.0-\d+(\+deb12u\d+)?$/.test(packageVersion) ? [fixed] : [upstream, fixed];
}
