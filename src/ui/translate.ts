// SPDX-License-Identifier: LGPL-2.1-or-later
// Words for people. The model speaks in messages (model/message.ts); here they are translated. Everything else that a
// page says goes through `_` or `plural`, always with literals: that is how po/extract.mjs finds them.
//
//     _("Device")    format(_("$0 of $1"), shown, total)    plural("$0 guest", "$0 guests", n)    translate(problem.says)
import type { Message } from "../model/message.ts";

/** A literal in the person's language. */
export function _(text: string): string {
    return cockpit.gettext(text);
}

/** Puts arguments into an already translated sentence; `$0` is the first. */
export function format(sentence: string, ...args: readonly (string | number)[]): string {
    return sentence.replace(/\$(\d)/g, (whole, index: string) => {
        const arg = args[Number(index)];
        return arg === undefined ? whole : typeof arg === "number" ? formatNumber(arg) : arg;
    });
}

/** "1 guest", "12 guests": `$0` is the count. */
export function plural(one: string, many: string, count: number): string {
    return format(cockpit.ngettext(one, many, count), count);
}

export function translate(message: Message): string {
    return format(cockpit.gettext(message.id), ...(message.args ?? []));
}

/** The language as Intl wants it: `pt_BR` is `pt-BR` there. */
export function locale(): string {
    return cockpit.language.replace("_", "-");
}

export function formatNumber(value: number): string {
    return new Intl.NumberFormat(locale()).format(value);
}
