// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of gettext-parser that the tests use.
declare module "gettext-parser" {
    interface Sentence {
        msgid: string;
        msgid_plural?: string;
        msgstr: string[];
    }
    const gettext: { po: { parse(file: Uint8Array): { translations: Record<string, Record<string, Sentence>> } } };
    export default gettext;
}
