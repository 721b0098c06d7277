// SPDX-License-Identifier: LGPL-2.1-or-later
// Lines of a `.tap` file that the page does not understand whole, read as far as it takes to know what of the running device is
// theirs: that is nobody's drift, and nothing the page takes away.
import { batchLines, wordsIn } from "./ip-batch.ts";
import { canonicalTable, ipNumber } from "./route-words.ts";
import { addressKey, routeKey, withLength, type TapRoute, type TapSettings } from "./tap-settings.ts";

/** Words of ip-route(8) and ip-address(8) whose value is an address, too, but not what the line is about. */
const NOT_THE_SUBJECT = ["via", "inet", "inet6", "src", "from", "nexthop", "peer", "remote", "broadcast", "brd", "anycast", "label", "dev"];

const isBeginning = (whole: string, word: string) => word !== "" && whole.startsWith(word);

/** What these lines set on the device: `create`, `mac`, `mtu`, `addrgenmode`, `state`, and the keys of addresses and routes. */
export function settingsOfOthers(lines: readonly string[], name: string): ReadonlySet<string> {
    return new Set(batchLines(lines.map(line => `${line}\n`).join("")).flatMap(({ command }) => {
        const [object = "", verb = "", ...words] = wordsIn(command ?? "");
        if (object.startsWith("tunt") || object === "tap")
            return isBeginning("add", verb) && words.includes(name) ? ["create"] : [];
        if (isBeginning("link", object))
            return isBeginning("set", verb) && words.includes(name) ? words.flatMap(ofLink) : [];
        if (["delete", "del", "flush", "show", "list", "save", "restore"].includes(verb))
            return [];
        return isBeginning("address", object) ? ofAddress(words, name) : isBeginning("route", object) ? ofRoute(words) : [];
    }));
}

function ofLink(word: string): string[] {
    switch (word) {
    case "mtu": case "addrgenmode": return [word];
    case "up": case "down": return ["state"];
    default: return isBeginning("address", word) ? ["mac"] : [];
    }
}

/** The first word that is an address and no value of another word, in the one spelling; ip takes "10/8" and masks, too. */
function subjectOf(words: readonly string[]): string | undefined {
    return words.filter((_word, index) => !NOT_THE_SUBJECT.includes(words[index - 1] ?? "")).map(canonical).find(text => text !== undefined);
}

function canonical(word: string): string | undefined {
    if (["default", "any", "all"].includes(word))
        return "default";
    const [address = "", mask] = word.split("/");
    const whole = /^\d+(\.\d+){0,2}$/.test(address) ? [...address.split("."), "0", "0", "0"].slice(0, 4).join(".") : address;
    const bits = mask?.includes(".") ? mask.split(".").map(byte => Number(byte).toString(2)).join("").replaceAll("0", "").length : mask;
    const text = withLength(bits === undefined ? whole : `${whole}/${bits}`);
    return text === "default" || text.includes("/") ? text : undefined;
}

/** With `peer` the length is the peer's (ifa_prefixlen). */
function ofAddress(words: readonly string[], name: string): string[] {
    const key = words.includes(name) ? addressIn(words) : undefined;
    return key === undefined ? [] : [addressKey(key)];
}

function addressIn(words: readonly string[]): string | undefined {
    const subject = subjectOf(words);
    const at = words.findIndex(word => word === "peer" || word === "remote");
    const length = canonical(words[at + 1] ?? "")?.split("/")[1];
    return subject !== undefined && at >= 0 && length !== undefined ? `${subject.split("/")[0]}/${length}` : subject;
}

/** The kernel tells routes apart by destination, metric and table (and by a TOS that ours have not). */
function ofRoute(words: readonly string[]): string[] {
    const route = routeIn(words);
    return route ? [routeKey(route)] : [];
}

function routeIn(words: readonly string[]): TapRoute | undefined {
    const destination = subjectOf(words);
    const value = (...names: string[]) => words[words.findIndex(word => names.includes(word)) + 1];
    const metric = words.some(word => ["metric", "preference", "priority"].includes(word)) ? ipNumber(value("metric", "preference", "priority") ?? "") : undefined;
    const table = words.includes("table") ? canonicalTable(value("table") ?? "") : undefined;
    const via = words.slice(words.includes("via") ? words.indexOf("via") + 1 : words.length).find(word => !/^inet6?$/.test(word));
    return destination === undefined ? undefined : {
        destination, ...via !== undefined && { via }, ...metric !== undefined && { metric }, ...table !== undefined && { table },
    };
}

/** What such lines do when their unit runs them. */
export interface Others {
    /** What devices are given, which need not be the file's own. */
    gives: readonly Pick<TapSettings, "name" | "addresses" | "routes">[];
    /** Lines about something else, which may do anything to it. */
    beside: readonly string[];
}

export function doneByOthers(lines: readonly string[], name: string): Others {
    const all = batchLines(lines.map(line => `${line}\n`).join("")).map(({ text, command }) => ({ text, done: doneBy(wordsIn(command ?? ""), name) }));
    return {
        gives: all.flatMap(({ done }) => typeof done === "object" ? done : []),
        beside: all.flatMap(({ text, done }) => done === "beside" ? text : []),
    };
}

function doneBy([object = "", verb = "", ...words]: readonly string[], name: string): Others["gives"][number] | "beside" | "nothing" {
    if (object === "" || ["show", "list", "save"].includes(verb))
        return "nothing";
    const at = words.indexOf("dev"), device = at >= 0 ? words[at + 1] : isBeginning("link", object) ? words[0] : undefined;
    const gives = ["add", "replace", "append", "change", "prepend"].some(each => isBeginning(each, verb));
    const address = gives && isBeginning("address", object) ? addressIn(words) : undefined;
    const route = gives && isBeginning("route", object) ? routeIn(words) : undefined;
    if (address !== undefined || route)
        return { name: device ?? name, addresses: address === undefined ? [] : [address], routes: route ? [route] : [] };
    return device === name || (device === undefined && words.includes(name)) ? "nothing" : "beside";
}
