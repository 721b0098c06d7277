// SPDX-License-Identifier: LGPL-2.1-or-later
// The units that matter to us, in one process whatever their number: `list-units` is one D-Bus call, `show` one per unit.
import type { DeviceUnit } from "../model/snapshot.ts";
import type { Machine } from "./run.ts";

/** Others that boot devices, run guests or filter packets: their state decides what is claimed of them. */
const OTHERS = [
    "libvirtd.service", "virtqemud.service", "libvirt-guests.service", "nftables.service", "firewalld.service", "docker.service",
    "ufw.service", "NetworkManager.service", "systemd-networkd.service", "networking.service",
] as const;

/** Whether this is one of them, by its name. */
export function isOther(unit: string): boolean {
    return OTHERS.some(name => name === unit);
}

/** The answer of `systemctl list-units -o json`: ActiveState by unit. */
export function activeUnitsIn(json: string): Map<string, string> {
    const units = new Map<string, string>();
    const list: unknown = JSON.parse(json || "[]");
    for (const entry of Array.isArray(list) ? list as (Record<string, unknown> | null)[] : []) {
        const item = entry ?? {};
        if (typeof item["unit"] === "string" && typeof item["active"] === "string" && item["load"] !== "not-found")
            units.set(item["unit"], item["active"]);
    }
    return units;
}

/** ActiveState of our units and of the others above that systemd knows, by unit name. */
export async function readActiveUnits(machine: Machine): Promise<Map<string, string>> {
    return activeUnitsIn(await machine.run(["systemctl", "list-units", "--all", "--output=json", "kvm-tap*", ...OTHERS]));
}

/** The device of `kvm-tap@NAME.service`. */
export function deviceOfUnit(unit: string): string | undefined {
    return /^kvm-tap@(.+)\.service$/.exec(unit)?.[1];
}

/** Device units by device name, from what is active and what is enabled (a link in some `.wants` directory). */
export function deviceUnits(active: ReadonlyMap<string, string>, enabled: ReadonlySet<string>): Map<string, DeviceUnit> {
    const units = new Map<string, DeviceUnit>();
    for (const unit of new Set([...active.keys(), ...enabled])) {
        const name = deviceOfUnit(unit);
        if (name !== undefined)
            units.set(name, { name, enabled: enabled.has(unit), active: active.get(unit) ?? "inactive" });
    }
    return units;
}
