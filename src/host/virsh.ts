// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests, through one running `virsh`. Its answers are delimited by its own `echo`; a command that fails says so in its own
// answer and the next goes on. Guests are named by UUID only: virsh's quoting applies to what it is told.
import { guestOf, type Guest, type GuestReading, type GuestState } from "../model/guest.ts";
import { msg } from "../model/message.ts";
import type { Libvirt } from "../model/snapshot.ts";
import { Conversation, type Grammar } from "./conversation.ts";
import type { CommandError, Machine } from "./run.ts";

export const VIRSH = ["virsh", "-q", "-c", "qemu:///system"] as const;

/** The mark is written in two halves, so that the command as virsh echoes it is no mark; the token keeps guests from faking one. */
export function virshGrammar(token: string): Grammar {
    return {
        line: (command, count) => `${command}\necho 'kvm-''tap:${token}:${count}:'\n`,
        end(text, count, from) {
            const mark = `kvm-tap:${token}:${count}:`;
            const at = text.indexOf(mark, from);
            return at < 0 ? -1 : at + mark.length;
        },
    };
}

export function openVirsh(machine: Machine, ended: (error: CommandError) => void): Conversation {
    return new Conversation(machine, VIRSH, virshGrammar(Math.random().toString(36).slice(2)), ended);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/gm;

/** The UUIDs in the answer to `list --uuid`. */
export function uuidsIn(answer: string): string[] {
    return answer.match(UUID) ?? [];
}

/** The errors in an answer, without those that virsh tells of a connection it has already made again. */
export function errorsIn(answer: string): string {
    return [...answer.matchAll(/^(?:virsh [#>] )?error: (.*)$/gm)]
        .map(match => match[1] ?? "")
        .filter(line => !/^(Disconnected from|Reconnected to) /.test(line))
        .join("\n");
}

/** The definition in the answer to `dumpxml`; undefined where it failed. */
export function definitionIn(answer: string): string | undefined {
    const start = answer.search(/^<domain[\s>]/m);
    const end = answer.lastIndexOf("</domain>");
    return start < 0 || end < start ? undefined : `${answer.slice(start, end)}</domain>\n`;
}

/** The definitions in the answer to several `dumpxml`, as far as their first and last lines tell. */
export function definitionsIn(answer: string): string[] {
    return answer.match(/^<domain[\s>][^]*?^<\/domain>\n/gm) ?? [];
}

/** libvirt prints the UUID before all that may hold text of somebody's own, but for the name, in which `<` is escaped. */
function uuidOf(xml: string | undefined): string | undefined {
    return xml === undefined ? undefined : /<uuid>([^<]*)<\/uuid>/.exec(xml)?.[1];
}

/** The answers to `version --daemon` (virsh.c cmdVersion). Undefined where the daemon did not tell. */
export function versionIn(answer: string): Libvirt | undefined {
    const version = /^Running against daemon: (\S+)$/m.exec(answer)?.[1];
    const hypervisor = /^Running hypervisor: (.+) (\S+)$/m.exec(answer);
    const driver = hypervisor?.[1] ?? /^Using API: (.+) \S+$/m.exec(answer)?.[1];
    if (version === undefined || driver === undefined)
        return undefined;
    return { version, driver, ...hypervisor?.[2] && { hypervisorVersion: hypervisor[2] } };
}

/** What `dominfo` says of one guest (virsh-domain-monitor.c cmdDominfo). Undefined: there is no such guest. */
export function infoIn(answer: string, uuid: string): GuestReading | undefined {
    const field = (name: string) => new RegExp(`^${name}: +(.*)$`, "m").exec(answer)?.[1];
    const state = field("State");
    if (state === undefined)
        return undefined;
    const name = field("Name");
    return {
        uuid,
        state: stateOf(state),
        persistent: field("Persistent") === "yes",
        autostart: field("Autostart") === "enable",
        managedSave: field("Managed save") === "yes",
        ...name !== undefined && { name },
    };
}

/** virshDomainStateTypeToString; "idle" is an old word for running. */
function stateOf(word: string): GuestState {
    switch (word) {
        case "running": case "idle": return "running";
        case "paused": return "paused";
        case "shut off": return "off";
        default: return "other";
    }
}

const LISTS = {
    all: "list --all --uuid",
    active: "list --uuid",
    running: "list --uuid --state-running",
    paused: "list --uuid --state-paused",
    persistent: "list --all --uuid --persistent",
    autostart: "list --all --uuid --autostart",
    managedSave: "list --all --uuid --with-managed-save",
} as const;

type Lists = Record<keyof typeof LISTS, ReadonlySet<string>>;

/** Which guests there are and how they are. Throws the words of virsh where the list itself cannot be had. */
async function readLists(virsh: Conversation): Promise<Lists> {
    const answers: string[] = [];
    await virsh.ask(Object.values(LISTS), text => answers.push(text));
    const errors = answers.map(errorsIn).filter(words => words !== "");
    if (errors.length > 0)
        throw new LibvirtError(errors[0] ?? "");
    const entries = Object.keys(LISTS).map((key, index) => [key, new Set(uuidsIn(answers[index] ?? ""))]);
    return Object.fromEntries(entries) as Lists;
}

/** libvirt's own words for what it could not do. */
export class LibvirtError extends Error {
    constructor(readonly words: string) {
        super(words);
        this.name = "LibvirtError";
    }
}

function readingOf(uuid: string, lists: Lists): GuestReading {
    const state = lists.running.has(uuid) ? "running" : lists.paused.has(uuid) ? "paused" : lists.active.has(uuid) ? "other" : "off";
    return {
        uuid, state,
        persistent: lists.persistent.has(uuid),
        autostart: lists.autostart.has(uuid),
        managedSave: lists.managedSave.has(uuid),
    };
}

/** The commands that dump what a guest has: the live definition while it is active, the configured one if it is persistent. */
function dumpsOf(reading: GuestReading): ("live" | "configured")[] {
    return [...reading.state === "off" ? [] : ["live" as const], ...reading.persistent ? ["configured" as const] : []];
}

/**
 * How many definitions one line asks for. virsh reads a line byte by byte, echoes it and flushes after each command: of ten
 * guests on a line of their own come 130 pieces, of ten on one line 20, and each piece is a message of its own up to the page.
 */
const TOGETHER = 10;

interface Dump {
    which: "live" | "configured";
    of: { reading: GuestReading; open: number; guest?: Guest };
}

const dumpxml = ({ which, of }: Dump) => `dumpxml ${which === "live" ? "" : "--inactive "}${of.reading.uuid}`;

function take({ which, of }: Dump, xml: string | undefined, errors: string) {
    if (xml === undefined)
        of.reading.problem = msg("libvirt does not show the definition of this guest: $0", errors);
    else
        of.reading[which] = xml;
    if (--of.open === 0)
        of.guest = guestOf(of.reading);
}

/** Reads the definitions of many guests; those without any (transient ones that are off) are left out. */
async function readDefinitions(virsh: Conversation, readings: readonly GuestReading[]): Promise<Guest[]> {
    const all: Dump["of"][] = readings.map(reading => ({ reading: { ...reading }, open: 0 }));
    const dumps = all.flatMap(of => dumpsOf(of.reading).map((which): Dump => {
        of.open++;
        return { which, of };
    }));
    const groups = Array.from({ length: Math.ceil(dumps.length / TOGETHER) }, (_, at) => dumps.slice(at * TOGETHER, (at + 1) * TOGETHER));
    const alone: Dump[] = [];
    await virsh.ask(groups.map(group => group.map(dumpxml).join(";")), (answer, index) => {
        const group = groups[index] ?? [], found = definitionsIn(answer);
        // One that failed, or that holds what looks like another: then each is asked for by itself.
        const fits = errorsIn(answer) === "" && found.length === group.length;
        if (fits && group.every((dump, at) => uuidOf(found[at]) === dump.of.reading.uuid))
            group.forEach((dump, at) => take(dump, found[at], ""));
        else
            alone.push(...group);
    });
    await virsh.ask(alone.map(dumpxml), (answer, index) => {
        const dump = alone[index];
        if (dump)
            take(dump, definitionIn(answer), errorsIn(answer));
    });
    return all.flatMap(({ guest }) => guest ?? []);
}

/** All guests of the host, in libvirt's order. */
export async function readGuests(virsh: Conversation): Promise<Guest[]> {
    const lists = await readLists(virsh);
    return readDefinitions(virsh, [...lists.all].map(uuid => readingOf(uuid, lists)));
}

/** With more guests than this the lists tell sooner how they are. */
const MANY = 20;

async function readStates(virsh: Conversation, uuids: readonly string[]): Promise<GuestReading[]> {
    if (uuids.length > MANY) {
        const lists = await readLists(virsh);
        return uuids.filter(uuid => lists.all.has(uuid)).map(uuid => readingOf(uuid, lists));
    }
    const readings: GuestReading[] = [];
    await virsh.ask(uuids.map(uuid => `dominfo ${uuid}`), (answer, index) => {
        const reading = infoIn(answer, uuids[index] ?? "");
        if (reading)
            readings.push(reading);
    });
    return readings;
}

/** Some guests, read again. Those that libvirt no longer knows are left out. */
export async function readSome(virsh: Conversation, uuids: readonly string[]): Promise<Map<string, Guest>> {
    const guests = await readDefinitions(virsh, await readStates(virsh, uuids));
    return new Map(guests.map(guest => [guest.uuid, guest]));
}

/** The UUIDs of guests that appeared, vanished or are not as they were known: seven lists instead of all definitions. */
export async function readChanged(virsh: Conversation, known: ReadonlyMap<string, Guest>): Promise<string[]> {
    const lists = await readLists(virsh);
    const differs = (uuid: string) => {
        const guest = known.get(uuid), now = readingOf(uuid, lists);
        return !guest || guest.state !== now.state || guest.persistent !== now.persistent || guest.autostart !== now.autostart ||
            guest.managedSave !== now.managedSave;
    };
    return [...[...lists.all].filter(differs), ...[...known.keys()].filter(uuid => !lists.all.has(uuid))];
}

/** The running libvirt, without its package. Throws libvirt's words. */
export async function readVersion(virsh: Conversation): Promise<Libvirt> {
    const answer = await virsh.one("version --daemon");
    const version = versionIn(answer);
    if (!version)
        throw new LibvirtError(errorsIn(answer) || answer.trim());
    return version;
}

/** What interfaces may refer to by name. */
export interface LibvirtNames {
    networks: readonly string[];
    filters: readonly string[];
}

/** Networks and network filters; none where libvirt does not tell. One process. */
export async function readNames(machine: Machine): Promise<LibvirtNames> {
    const answer = await machine.run([...VIRSH, "net-list --all --name; nwfilter-list"]).catch(() => "");
    const lines = answer.split("\n").map(line => line.trim()).filter(line => line !== "");
    const filters = lines.map(line => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\s+(\S.*)$/.exec(line)?.[1]);
    return {
        networks: lines.filter((_line, index) => filters[index] === undefined),
        filters: filters.filter(name => name !== undefined),
    };
}

/** A line of `virsh event --all --loop`: which guest, by name, and which event. */
export interface GuestEvent {
    event: string;
    guest: string;
    detail: string;
}

/** virsh-domain-event.c: `event 'lifecycle' for domain 'charon': Stopped Destroyed`; the name may hold anything. */
export function eventIn(line: string): GuestEvent | undefined {
    const match = /event '([^']*)' for domain '(.*)'(?:: ?(.*))?$/.exec(line);
    return match ? { event: match[1] ?? "", guest: match[2] ?? "", detail: match[3] ?? "" } : undefined;
}
