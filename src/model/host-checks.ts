// SPDX-License-Identifier: LGPL-2.1-or-later
// Checks of the whole host: what was read, what it means, and which cure there is.
import { interfaceChecks } from "./checks.ts";
import { devicesAtRisk, hostFacts, subjects, type Severity } from "./glance.ts";
import { behaviours, newestVerified, versionNumber } from "./libvirt-version.ts";
import { msg, type Message } from "./message.ts";
import { agreement, natReading } from "./nat-reading.ts";
import { advertisementsAtRisk, LINK_SETTINGS_FILE, usesIpv6 } from "./nat-link-settings.ts";
import { familiesOf, waysProblems } from "./nat-ways.ts";
import { steeringOf } from "./steering.ts";
import { parseSysctls } from "./sysctl-file.ts";
import { valueOf, type Libvirt, type Reading, type Snapshot } from "./snapshot.ts";

/** What a page offers for it. Without one, the sentence says what to do. */
export type Cure = "start-libvirt" | "restart-libvirt" | "show-guests" | "show-taps" | "show-nat" | "harden";

export interface HostCheck {
    id: string;
    severity: Severity;
    says: Message;
    means: Message;
    /** A tool's own words. */
    words?: string;
    cure?: Cure;
}

/** A part that could not be read is a check that fails, with the tool's words. */
function unread(id: string, reading: Reading<unknown>, means: Message, cure?: Cure): HostCheck[] {
    return reading.state === "failed"
        ? [{ id, severity: "danger", says: reading.says, means, words: reading.words, ...cure && { cure } }] : [];
}

function libvirtCheck({ libvirt }: Snapshot): HostCheck[] {
    if (libvirt.state !== "read")
        return unread("libvirt", libvirt, msg("Without libvirt nothing is known of the guests, and none can be started."), "start-libvirt");
    const { version, packageVersion, driver } = libvirt.value;
    const shown = packageVersion ?? version;
    const known = behaviours(libvirt.value).length;
    if (driver !== "QEMU" || known === 0) {
        return [{
            id: "libvirt", severity: "unknown", says: msg("libvirt $0 with $1", shown, driver),
            means: msg("Nobody has verified what this libvirt does to TAP devices, so fates are shown as not known."),
        }];
    }
    if (versionNumber(version) > versionNumber(newestVerified)) {
        return [{
            id: "libvirt", severity: "info", says: msg("libvirt $0 is newer than the newest release that was measured ($1)", shown, newestVerified),
            means: msg("Fates are those of the newest measured release."),
        }];
    }
    return [{ id: "libvirt", severity: "success", says: msg("libvirt $0 answers", shown), means: rule(libvirt.value) }];
}

/** What the release implies for devices, in a sentence. */
export function rule(libvirt: Libvirt): Message {
    const [behaviour, ...others] = behaviours(libvirt);
    if (behaviour === undefined || others.some(other => other.existing !== behaviour.existing))
        return msg("It is not known whether this build refuses a device that exists.");
    if (!behaviour.knowsManaged)
        return msg("This release ignores managed='no' and deletes the device whenever a guest stops. Devices cannot be protected: upgrade to 5.8.0 or later.");
    if (behaviour.unmanagedIsBroken)
        return msg("This release cannot use a device that exists, protected or not: it is upstream's 9.0.0. Upgrade to 9.1.0 or later.");
    return behaviour.existing === "refused"
        ? msg("Without managed='no' a start fails when the device exists, and the failed start deletes it. With managed='no' the device is left alone.")
        : msg("Without managed='no' the device is used, and deleted when the guest stops. With managed='no' it is left alone.");
}

function namesAtRisk(names: readonly string[]): Message {
    const shown = names.slice(0, 10).join(", ");
    return names.length > 10
        ? msg("Devices that libvirt will delete: $0 and $1 more", shown, String(names.length - 10))
        : msg("Devices that libvirt will delete: $0", shown);
}

function riskCheck(snapshot: Snapshot): HostCheck[] {
    const facts = hostFacts(snapshot);
    if (!facts)
        return [];
    const names = devicesAtRisk(subjects(facts));
    return names.length === 0
        ? [{
            id: "risk", severity: "success", says: msg("No device will be deleted by libvirt"),
            means: msg("No start, stop or failed start of a guest takes a persistent device with it."),
        }]
        : [{
            id: "risk", severity: "danger", says: namesAtRisk(names), cure: "show-guests",
            means: msg("The next start, stop or failed start of their guests deletes them. Protect them."),
        }];
}

/** Guests that run on their old definition: only the hook brings back what they take along. */
function waiting(snapshot: Snapshot): string[] {
    const facts = hostFacts(snapshot);
    return facts ? subjects(facts).filter(({ pair: { live, configured } }) => configured?.managed === "no" && live?.type === "ethernet"
        && live.managed !== "no").map(({ guest }) => guest.name) : [];
}

function hookCheck(snapshot: Snapshot): HostCheck[] {
    const { hook } = snapshot;
    if (hook.state !== "read")
        return unread("hook", hook, msg("It is not known whether lost devices are made again."));
    const { installed, inEffect } = hook.value;
    if (!installed) {
        return [{
            id: "hook", severity: "warning", says: msg("The libvirt hook is not installed"),
            means: msg("A device that is lost while a guest runs on its old definition stays lost until its unit is started. Install the package kvm-tap."),
        }];
    }
    if (inEffect === true) {
        return [{
            id: "hook", severity: "success", says: msg("The libvirt hook is in effect"),
            means: msg("A protected device that is lost all the same is made again at once, with its addresses and routes."),
        }];
    }
    const pending = [...new Set(waiting(snapshot))].join(", ");
    if (pending !== "") {
        return [{
            id: "hook", severity: "danger", cure: "restart-libvirt",
            says: inEffect === false
                ? msg("The libvirt hook is not in effect yet. Guests still on their old definition: $0", pending)
                : msg("It is not known whether the libvirt hook is in effect. Guests still on their old definition: $0", pending),
            means: msg("Without it their devices are lost when they stop. libvirt looks for hooks only when it starts: restart it. Running guests go on running."),
        }];
    }
    return [{
        id: "hook", severity: "warning", cure: "restart-libvirt",
        says: inEffect === false ? msg("The libvirt hook is not in effect yet") : msg("It is not known whether the libvirt hook is in effect"),
        means: msg("libvirt looks for hooks only when it starts. Restarting its daemon puts the hook in effect and leaves running guests alone."),
    }];
}

const listed = (names: readonly string[]) => names.length > 10 ? `${names.slice(0, 10).join(", ")}, …` : names.join(", ");

/** What guests' devices take from them: what can be cured, what a file says on purpose, and what no file of a device can change. */
function steeringCheck(snapshot: Snapshot): HostCheck[] {
    const believed = msg("Router advertisements and redirects of a guest can lead the host's own packets to it, and with foreign source addresses it speaks for others.");
    const found = steeringOf(snapshot);
    const own = found.filter(each => each.own.length > 0), meant = found.flatMap(each => each.meant);
    const all = new Map(found.flatMap(each => each.all.map(setting => [setting.key, setting])));
    const words = (settings: readonly { key: string; value: string; path?: string }[]) =>
        settings.map(({ key, value, path }) => `${key} = ${value}${path === undefined ? "" : `   (${path})`}`).join("\n");
    return [
        ...unread("steering", snapshot.deviceSysctls, msg("It is not known whether guests can steer this host.")),
        ...own.length === 0 ? [] : [{
            id: "steering", severity: "warning" as const, says: msg("Guests can steer this host through $0", listed(own.map(({ device }) => device))),
            means: believed, words: words(own.flatMap(each => each.own)), cure: "harden" as const,
        }],
        ...all.size === 0 ? [] : [{
            id: "steering-all", severity: "warning" as const, says: msg("Settings for all links overrule those of guests' devices"),
            means: msg("Guests can steer this host through them, whatever the files of their devices say. Change them in /etc/sysctl.d, or where they come from."),
            words: words([...all.values()]),
        }],
        ...meant.length === 0 ? [] : [{
            id: "steering-meant", severity: "info" as const, says: msg("Files let guests steer this host"), means: believed, words: words(meant),
        }],
    ];
}

function unitCheck({ units }: Snapshot): HostCheck[] {
    const failed = [...valueOf(units)?.values() ?? []].filter(unit => unit.active === "failed").map(unit => unit.name);
    return failed.length === 0 ? [] : [{
        id: "units", severity: "danger", says: msg("Devices whose unit failed: $0", failed.join(", ")), cure: "show-taps",
        means: msg("They are not as their files say. The journal of kvm-tap@NAME.service tells why."),
    }];
}

/** Up to version 0.1 forwarding was switched on by a file, which a reverted change or a removed package left behind. */
function leftForwardingCheck({ files }: Snapshot): HostCheck[] {
    const content = valueOf(files)?.get(LINK_SETTINGS_FILE)?.content ?? "";
    const on = [...parseSysctls(content)].some(([key, value]) => /forward/.test(key) && value !== "0");
    return on ? [{
        id: "forwarding", severity: "warning", says: msg("$0 makes this host forward packets at every boot, and nothing is mapped", LINK_SETTINGS_FILE),
        means: msg("The file was written for mappings that are gone. Without them the host routes for everybody: remove the file if nothing else needs it."),
    }] : [];
}

function natCheck(snapshot: Snapshot): HostCheck[] {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return unread("nat", reading, msg("What is mapped, and whether it works, is not known."));
    const means = msg("The table inet kvm_tap in the kernel and /etc/kvm-tap/nat.nft are compared element by element.");
    switch (agreement(reading.value)) {
    case "none": return leftForwardingCheck(snapshot);
    case "agree": return [{ id: "nat", severity: "success", says: msg("The 1:1 NAT runs as it is saved"), means }];
    case "outdated": return [{ id: "nat", severity: "warning", says: msg("The rules of the 1:1 NAT are of an older version"), means, cure: "show-nat" }];
    case "damaged": return [{ id: "nat", severity: "danger", says: msg("The saved 1:1 NAT is empty or damaged"), means, cure: "show-nat" }];
    case "lost": return [{ id: "nat", severity: "danger", says: msg("The 1:1 NAT is saved, but not loaded"), means, cure: "show-nat" }];
    case "unsaved": return [{ id: "nat", severity: "warning", says: msg("The 1:1 NAT runs, but is not saved"), means, cure: "show-nat" }];
    case "differ": return [{ id: "nat", severity: "warning", says: msg("The 1:1 NAT that runs differs from the one that is saved"), means, cure: "show-nat" }];
    }
}

function uplinksCheck(snapshot: Snapshot): HostCheck[] {
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? reading.value.running?.state : undefined;
    return (state ? waysProblems(snapshot, state, familiesOf(state)) : []).map(({ uplink, says }) => ({
        id: `uplink ${uplink} ${says.id}`, severity: "warning", says, cure: "show-nat",
        means: msg("With several uplinks each needs a rule and a routing table of its own, so that answers leave the way that the question came."),
    }));
}

function advertisementsCheck(snapshot: Snapshot): HostCheck[] {
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? reading.value.running?.state : undefined;
    return (state && usesIpv6(state) ? advertisementsAtRisk(snapshot) : []).map(({ link, file }) => ({
        id: `advertisements ${link}`, severity: "warning",
        says: msg("systemd-networkd may stop taking router advertisements on $0, since this host forwards IPv6", link),
        means: file === "" ? msg("The default route over this link would end. Say IPv6AcceptRA=yes in the section [Network] of its .network file, and run “networkctl reload”.")
            : msg("The default route over this link would end. Say IPv6AcceptRA=yes in the section [Network] of $0, and run “networkctl reload”.",
                `/etc/systemd/network/${file.replace(/^.*\//, "")}.d/kvm-tap.conf`),
    }));
}

function networkCheck({ links, routes }: Snapshot): HostCheck[] {
    return [
        ...unread("network", links, msg("Devices, addresses and routes are not known.")),
        ...links.state === "read" ? unread("network", routes, msg("Devices, addresses and routes are not known.")) : [],
    ];
}

const worstFirst: readonly Severity[] = ["danger", "warning", "unknown", "info", "success"];

/** All checks, the worst first. Parts that are still being read are left out. */
export function hostChecks(snapshot: Snapshot): readonly HostCheck[] {
    return [libvirtCheck, riskCheck, hookCheck, steeringCheck, unitCheck, natCheck, uplinksCheck, advertisementsCheck, networkCheck]
        .flatMap(check => check(snapshot)).sort((a, b) => worstFirst.indexOf(a.severity) - worstFirst.indexOf(b.severity));
}

/** How many findings a person should look at: of the host and of the interfaces of guests. */
export function failingChecks(snapshot: Snapshot): number {
    return [...hostChecks(snapshot), ...interfaceChecks(snapshot)]
        .filter(({ severity }) => severity === "danger" || severity === "warning").length;
}

export interface Firewall {
    name: string;
    active: boolean;
    means: Message;
}

/** Programs that filter or manage the network beside us, as far as their units are known. */
export function firewalls({ services }: Snapshot): readonly Firewall[] {
    const known: readonly [unit: string, name: string, means: Message][] = [
        ["firewalld.service", "firewalld", msg("It rejects what comes out of a TAP device at the end of its forward chain, unless the device is in a zone that lets it out.")],
        ["docker.service", "Docker", msg("It sets the policy of the forward chain to drop and leaves exceptions to its chain DOCKER-USER.")],
        ["ufw.service", "ufw", msg("It drops forwarded packets unless “ufw route allow” lets them through.")],
        ["nftables.service", "nftables", msg("Its start, stop and reload flush all tables. The table of the 1:1 NAT is loaded again in the same transaction; “nft -f /etc/nftables.conf” by hand loses it.")],
        ["systemd-networkd.service", "systemd-networkd", msg("It may strip addresses and routes that it did not configure from links that one of its .network files matches.")],
        ["NetworkManager.service", "NetworkManager", msg("It leaves TAP devices that others made alone, unless a profile names them.")],
        ["networking.service", "ifupdown", msg("It touches only the links that /etc/network/interfaces names.")],
    ];
    const states = valueOf(services);
    return known.flatMap(([unit, name, means]) => {
        const state = states?.get(unit);
        return state === undefined ? [] : [{ name, active: state === "active", means }];
    });
}
