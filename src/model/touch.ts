// SPDX-License-Identifier: LGPL-2.1-or-later
// What a plan takes from the host, or interrupts. It is compared with what the host lives on (host-reach.ts) when the plan is made, and
// again right before it runs: the kernel does not announce all that this takes.
import { holds, needsOf, spanned, type Spanned } from "./host-needs.ts";
import { carried, reachOf, reachUnread, type Interruption, type Reach, type Translated } from "./host-reach.ts";
import { msg, uniqueMessages, type Message } from "./message.ts";
import { contains, formatPrefix, isSingle, parsePrefix, width, type Prefix } from "./nat-address.ts";
import { valueOf, type Neighbour, type Snapshot } from "./snapshot.ts";
import { tapFilePath } from "./tap-file.ts";
import { routeWords } from "./tap-settings.ts";
import { prefixesOf, reaches, type Giving } from "./validate.ts";

/** A public address or prefix that a guest gets. */
export interface Translation extends Translated {
    public: Prefix;
}

export interface Touch {
    gives?: readonly Giving[];
    /** What devices had before, which they get back when the plan is undone. */
    had?: readonly Giving[];
    interrupts?: readonly Interruption[];
    translates?: readonly Translation[];
}

function givingReaches(snapshot: Snapshot, { gives = [], translates = [] }: Touch): Reach[] {
    return [
        ...gives.flatMap(giving => reaches(giving, snapshot)),
        ...translates.map(({ public: outside, ...translated }) => reachOf(snapshot, outside, { translated })),
    ];
}

/** Whether nothing of the host has to be known for it. */
export const isNothing = ({ gives = [], interrupts = [], translates = [] }: Touch) => interrupts.length + translates.length === 0
    && gives.every(({ addresses, routes, beside = [] }) => addresses.length + routes.length + beside.length === 0);

/** Why the plan cannot run. */
export function touchProblems(snapshot: Snapshot, touch: Touch): Message[] {
    const unread = isNothing(touch) ? undefined : reachUnread(snapshot);
    if (unread)
        return [unread];
    const refused = givingReaches(snapshot, touch).flatMap(reach => reach.refused ?? []);
    return uniqueMessages([...refused, ...(touch.interrupts ?? []).flatMap(interruption => carried(snapshot, interruption))]);
}

/** What a person should know before it runs. */
export function touchNotes(snapshot: Snapshot, touch: Touch): Message[] {
    const unknown = isNothing(touch) ? [] : valueOf(snapshot.needs)?.unknown ?? [];
    const hints = (touch.gives ?? []).flatMap(giving => reaches(giving, snapshot)).flatMap(({ hint }) => hint ?? []);
    const beside = (touch.gives ?? []).flatMap(giving => giving.beside ? besideNote(giving.name, giving.beside) : []);
    return uniqueMessages([...hints, ...beside, ...unknown]);
}

function besideNote(name: string, lines: readonly string[]): Message {
    return msg("$0 does something to others than $1, too, which is not looked at here: $2", tapFilePath(name), name, lines.join("; "));
}

/** Several plans in one. */
export function touchOf(all: readonly Touch[]): Touch {
    return {
        gives: all.flatMap(({ gives = [] }) => gives), had: all.flatMap(({ had = [] }) => had),
        interrupts: all.flatMap(({ interrupts = [] }) => interrupts), translates: all.flatMap(({ translates = [] }) => translates),
    };
}

/** The plan taken back: devices lose what they were given, and get what they had. */
export function takenBack({ gives = [], had = [], interrupts = [] }: Touch): Touch {
    const lost = gives.map(giving => losing(giving, had.find(({ name }) => name === giving.name)));
    return { gives: had, had: gives, interrupts: [...interrupts, ...lost] };
}

/** What a device loses that is made as it was before; without that, it goes. */
function losing({ name, addresses, routes }: Giving, before: Giving | undefined): Interruption {
    if (!before || addresses.some(address => !before.addresses.includes(address)))
        return { device: name };
    const kept = new Set(before.routes.map(routeWords));
    const gone = routes.filter(route => !kept.has(routeWords(route)));
    return { device: name, losing: gone.flatMap(({ destination }) => prefixesOf(destination)) };
}

/** More would take too many processes at once: what else is in the neighbour table is believed then. */
const MOST_ASKED = 16;

interface Wish extends Spanned {
    /** "" for none. */
    device: string;
}

function wishes({ gives = [], translates = [] }: Touch): Wish[] {
    const on = (device: string) => (prefix: Prefix): Wish => ({ ...spanned(prefix), device });
    const single = ({ family, address }: Prefix): Prefix => ({ family, address, length: width(family) });
    return [
        ...gives.flatMap(({ name, addresses, routes }) => [
            ...addresses.flatMap(address => parsePrefix(address) ?? []).map(single),
            ...routes.flatMap(({ destination }) => parsePrefix(destination) ?? []),
        ].map(on(name))),
        ...notHeld(translates).map(({ public: outside }) => on("")(outside)),
    ];
}

/** Those that are no part of what is translated already. Thousands may be, most of them single addresses. */
function notHeld(translates: readonly Translation[]): Translation[] {
    const held = [...new Set(translates.map(translation => translation.held))].flat();
    const singles = new Set(held.filter(isSingle).map(formatPrefix)), wide = held.filter(prefix => !isSingle(prefix));
    return translates.filter(({ public: outside }) =>
        !singles.has(formatPrefix(outside)) && !wide.some(prefix => contains(prefix, outside)));
}

/**
 * Neighbours to ask for before it runs: a single address out of the network of a link, and whatever of a prefix was heard of once. Nobody
 * knows otherwise whether a machine there has it.
 */
export function neighboursToAsk(snapshot: Snapshot, touch: Touch): Neighbour[] {
    if (reachUnread(snapshot))
        return [];
    const wished = wishes(touch), { networks } = needsOf(snapshot);
    const singles = wished.filter(({ prefix }) => isSingle(prefix)).flatMap(wish => networks
        .flatMap(network => network.over.includes(wish.device) || !holds(network, wish) ? [] : network.over.slice(0, 1))
        .map(device => ({ device, address: wish.prefix.address })));
    const once = (valueOf(snapshot.needs)?.neighbours ?? []).filter(({ stale }) => stale).filter(({ device, address }) => {
        const prefix = parsePrefix(address);
        return prefix && wished.some(wish => wish.device !== device && holds(wish, spanned(prefix)));
    });
    // Of one that is in both, the last counts, which is in the table.
    return [...new Map([...singles, ...once].map(each => [`${each.device} ${each.address}`, each])).values()].slice(0, MOST_ASKED);
}
