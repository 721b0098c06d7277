// SPDX-License-Identifier: LGPL-2.1-or-later
// `/etc/kvm-tap/NAME.tap`: an `ip -batch` text that describes one TAP device. Files written by hand are welcome: what we do not
// understand stays where it is, and an edit changes only the lines that say something else afterwards.
import { batchLines, wordsIn, type BatchLine } from "./ip-batch.ts";
import { named } from "./names.ts";
import { parsePrefix } from "./nat-address.ts";
import { canonicalTable, ipNumber } from "./route-words.ts";
import { settingsOfOthers } from "./tap-foreign.ts";
import { withLength, type TapRoute, type TapSettings } from "./tap-settings.ts";

export const TAP_DIRECTORY = "/etc/kvm-tap";

export function tapFilePath(name: string): string {
    return named(name, `${TAP_DIRECTORY}/${name}.tap`);
}

/** The device that a path describes; undefined for other files. */
export function deviceOfPath(path: string): string | undefined {
    return /^\/etc\/kvm-tap\/([^/]+)\.tap$/.exec(path)?.[1];
}

/** One thing that a file says. `key` tells what about, so that a later line replaces an earlier one; `text` is our way to write it. */
interface Saying {
    key: string;
    text: string;
    take(settings: Mutable): void;
}

type Mutable = { -readonly [K in keyof TapSettings]: TapSettings[K] } & { addresses: string[]; routes: TapRoute[] };

/** A line as it stands, and what it says; undefined: we do not understand it. */
interface Line {
    text: string;
    says: readonly Saying[] | undefined;
}

export interface TapFile {
    settings: TapSettings;
    /** Lines that we do not understand, as they stand. The unit runs them all the same. */
    foreign: readonly string[];
    /** Whether it can make the device: it has a `tuntap add` line. */
    makes: boolean;
}

/** The order in which things are written; also where an edit puts a new line. */
const RANKS = ["description", "create", "mac", "mtu", "addrgenmode", "state", "address", "route"] as const;

function rank(key: string): number {
    return RANKS.findIndex(name => key === name || key.startsWith(`${name} `));
}

function routeText(name: string, { destination, via, source, metric, table }: TapRoute): string {
    return [
        "route replace", destination, ...via === undefined ? [] : ["via", via], "dev", name,
        ...source === undefined ? [] : ["src", source], ...metric === undefined ? [] : ["metric", String(metric)],
        ...table === undefined ? [] : ["table", table],
    ].join(" ");
}

/** Everything that settings say, in order. */
function sayings(settings: TapSettings): Saying[] {
    const { name, multiQueue, owner, group, mac, mtu, addrGenMode, up, addresses, routes } = settings;
    const description = descriptionText(settings.description ?? "");
    const all: (Saying | undefined)[] = [
        description === "" ? undefined : descriptionSaying(description),
        createSaying(name, multiQueue, owner, group),
        mac === undefined ? undefined : macSaying(name, mac),
        mtu === undefined ? undefined : mtuSaying(name, mtu),
        addrGenMode === undefined ? undefined : modeSaying(name, addrGenMode),
        up === undefined ? undefined : linkSaying(name, "state", up ? "up" : "down", into => { into.up = up; }),
        ...addresses.map(address => addressSaying(name, address)),
        ...routes.map(route => routeSaying(name, route)),
    ];
    return all.filter(saying => saying !== undefined);
}

/** One line. Without backslashes at its end: to the readers of older versions the next line would be a part of it. */
function descriptionText(description: string): string {
    return description.replace(/\s+/g, " ").replace(/[\s\\]+$/, "").trim();
}

function descriptionSaying(text: string): Saying {
    return { key: "description", text: `# description: ${text}`, take: into => { into.description = text; } };
}

function createSaying(name: string, multiQueue: boolean, owner?: string, group?: string): Saying {
    const words = ["tuntap add dev", name, "mode tap", ...multiQueue ? ["multi_queue"] : [],
        ...owner === undefined ? [] : ["user", owner], ...group === undefined ? [] : ["group", group]];
    return {
        key: "create",
        text: words.join(" "),
        take(into) {
            into.multiQueue = multiQueue;
            if (owner !== undefined)
                into.owner = owner;
            if (group !== undefined)
                into.group = group;
        },
    };
}

function linkSaying(name: string, key: string, words: string, take: (into: Mutable) => void): Saying {
    return { key, text: `link set dev ${name} ${words}`, take };
}

function macSaying(name: string, value: string): Saying {
    const mac = value.toLowerCase();
    return linkSaying(name, "mac", `address ${mac}`, into => { into.mac = mac; });
}

function mtuSaying(name: string, mtu: number): Saying {
    return linkSaying(name, "mtu", `mtu ${mtu}`, into => { into.mtu = mtu; });
}

function modeSaying(name: string, mode: string): Saying {
    return linkSaying(name, "addrgenmode", `addrgenmode ${mode}`, into => { into.addrGenMode = mode; });
}

function addressSaying(name: string, address: string): Saying {
    const canonical = withLength(address);
    return { key: `address ${canonical}`, text: `address replace ${canonical} dev ${name}`, take: into => { into.addresses.push(canonical); } };
}

function routeSaying(name: string, route: TapRoute): Saying {
    const canonical = { ...route, destination: withLength(route.destination) };
    const text = routeText(name, canonical);
    return { key: `route ${text}`, text, take: into => { into.routes.push(canonical); } };
}

/** A new file. */
export function writeTapFile(settings: TapSettings): string {
    return sayings(settings).map(saying => `${saying.text}\n`).join("");
}

export function parseTapFile(content: string, name: string): TapFile {
    const lines = linesOf(content, name);
    const settings: Mutable = { name, multiQueue: false, addresses: [], routes: [] };
    const last = new Map(lines.flatMap(line => line.says ?? []).map(saying => [saying.key, saying]));
    for (const saying of last.values())
        saying.take(settings);
    return {
        settings,
        foreign: lines.filter(line => line.says === undefined).map(line => line.text),
        makes: last.has("create") || makesByOthers(lines, name),
    };
}

/**
 * The file changed so that it says `after`: lines that already say it stay byte for byte, so does what we do not understand; a
 * line that says something else is written anew in its place; new lines go after those of their kind.
 */
export function editTapFile(content: string, after: TapSettings): string {
    const wanted = new Map(sayings(after).map(saying => [saying.key, saying]));
    const lines = linesOf(content, after.name);
    const saidLast = new Map<string, number>();
    lines.forEach((line, index) => line.says?.forEach(saying => saidLast.set(saying.key, index)));
    const kept = lines.flatMap((line, index) => editLine(line, index, wanted, saidLast));
    const missing = [...wanted.values()].filter(saying => !saidLast.has(saying.key) && !(saying.key === "create" && makesByOthers(lines, after.name)));
    for (const saying of missing)
        insert(kept, { text: saying.text, says: [saying] });
    return kept.map(line => `${line.text}\n`).join("");
}

/** Whether a line that we do not understand makes the device. One of ours beside it would be the one that counts. */
function makesByOthers(lines: readonly Line[], name: string): boolean {
    return settingsOfOthers(lines.filter(line => line.says === undefined).map(line => line.text), name).has("create");
}

/** What an edit leaves of a line: itself, itself written anew, or nothing. */
function editLine(line: Line, index: number, wanted: ReadonlyMap<string, Saying>, saidLast: ReadonlyMap<string, number>): Line[] {
    if (!line.says || line.says.length === 0)
        return [line];
    const effective = line.says.filter(saying => saidLast.get(saying.key) === index);
    if (effective.length > 0 && effective.every(saying => wanted.get(saying.key)?.text === saying.text))
        return [line];
    return effective.flatMap(saying => wanted.get(saying.key) ?? []).map(saying => ({ text: saying.text, says: [saying] }));
}

/** After the last line of the same kind or of one that comes before it; so never after one that would go on in it. */
function insert(lines: Line[], line: Line) {
    const own = Math.max(...(line.says ?? []).map(saying => rank(saying.key)));
    const follows = (other: Line) => other.says?.some(saying => rank(saying.key) <= own) === true;
    const at = lines.reduce((last, other, index) => follows(other) ? index : last, -1);
    lines.splice(at + 1, 0, line);
}

function linesOf(content: string, name: string): Line[] {
    return batchLines(content).map(line => ({ text: line.text, says: sayingsOf(line, name) }));
}

/** What a line says; nothing for an empty line or a comment; undefined where we do not understand it whole. */
function sayingsOf({ text, command }: BatchLine, name: string): Saying[] | undefined {
    const description = descriptionText(/^#\s*description:(.*)$/.exec(text)?.[1] ?? "");
    if (description !== "")
        return [descriptionSaying(description)];
    if (command === undefined)
        return undefined;
    const [object = "", verb = "", ...rest] = wordsIn(command);
    if (object === "")
        return [];
    if (isBeginning("tuntap", object, 4) || object === "tap")
        return isBeginning("add", verb) ? creation(rest, name) : undefined;
    if (isBeginning("link", object))
        return isBeginning("set", verb) ? linkSettings(rest, name) : undefined;
    const sets = isBeginning("add", verb) || isBeginning("replace", verb);
    if (isBeginning("address", object))
        return sets ? address(rest, name) : undefined;
    return isBeginning("route", object) && sets ? route(rest, name) : undefined;
}

/** ip takes any beginning of a word (utils.c matches). */
function isBeginning(whole: string, word: string, least = 1): boolean {
    return word.length >= least && whole.startsWith(word);
}

/** Words in pairs `key value`; flags alone. Undefined where one is unknown or a value is missing. */
function pairs(words: readonly string[], keys: readonly string[], flags: readonly string[]): Map<string, string> | undefined {
    const found = new Map<string, string>();
    for (let index = 0; index < words.length; index++) {
        const word = words[index] ?? "";
        const value = words[index + 1];
        if (flags.includes(word)) {
            found.set(word, word);
        } else if (keys.includes(word) && value !== undefined) {
            found.set(word, value);
            index++;
        } else {
            return undefined;
        }
    }
    return found;
}

function creation(words: readonly string[], name: string): Saying[] | undefined {
    const found = pairs(words, ["dev", "name", "mode", "user", "group"], ["multi_queue", "vnet_hdr"]);
    if (!found || (found.get("dev") ?? found.get("name")) !== name || found.get("mode") !== "tap")
        return undefined;
    return [createSaying(name, found.has("multi_queue"), found.get("user"), found.get("group"))];
}

function linkSettings(words: readonly string[], name: string): Saying[] | undefined {
    const rest = words[0] === name ? words.slice(1) : words;
    const found = pairs(rest, ["dev", "mtu", "address", "addrgenmode"], ["up", "down"]);
    if (!found || (found.get("dev") ?? name) !== name || (rest === words && !found.has("dev")))
        return undefined;
    const says: Saying[] = [];
    for (const [key, value] of found) {
        if (key === "mtu" && !/^\d+$/.test(value))
            return undefined;
        if (key === "mtu")
            says.push(mtuSaying(name, Number(value)));
        if (key === "address")
            says.push(macSaying(name, value));
        if (key === "addrgenmode")
            says.push(modeSaying(name, value));
        if (key === "up" || key === "down")
            says.push(linkSaying(name, "state", key, into => { into.up = key === "up"; }));
    }
    return says;
}

function address(words: readonly string[], name: string): Saying[] | undefined {
    const [first = "", ...rest] = words[0] === "dev" ? [words[2] ?? "", "dev", words[1] ?? "", ...words.slice(3)] : words;
    const found = pairs(rest, ["dev"], []);
    return found?.get("dev") === name && parsePrefix(first) ? [addressSaying(name, first)] : undefined;
}

function route(words: readonly string[], name: string): Saying[] | undefined {
    const [first = "", ...rest] = words;
    const found = pairs(rest, ["dev", "via", "src", "metric", "table"], []);
    const destination = withLength(first);
    const number = found?.get("metric"), metric = number === undefined ? undefined : ipNumber(number);
    if (found?.get("dev") !== name || !(destination === "default" || parsePrefix(first)) || (number !== undefined && metric === undefined))
        return undefined;
    const via = found.get("via"), source = found.get("src"), table = canonicalTable(found.get("table") ?? "main");
    return [routeSaying(name, {
        destination,
        ...via !== undefined && { via },
        ...source !== undefined && { source },
        ...metric !== undefined && { metric },
        ...table !== "main" && { table },
    })];
}
