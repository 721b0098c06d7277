// SPDX-License-Identifier: LGPL-2.1-or-later
// Translations: the same places for arguments in every form of every sentence, and no sentence that is only half translated.
import { readdirSync, readFileSync } from "node:fs";
import gettext from "gettext-parser";

const places = (text: string) => [...new Set(text.match(/\$\d/g))].sort().join(" ");

const sentences = readdirSync("po").filter(name => name.endsWith(".po")).flatMap(name =>
    Object.values(gettext.po.parse(readFileSync(`po/${name}`)).translations[""] ?? {})
        .filter(({ msgid, msgstr }) => msgid !== "" && msgstr.some(Boolean))
        .map(({ msgid, msgid_plural: many, msgstr }) => [name, msgid, many, msgstr] as const));

test("there are translations", () => expect(sentences.length).toBeGreaterThan(500));

test.each(sentences)("%s: %s", (_name, id, many, forms) => {
    expect(forms.every(Boolean)).toBe(true);
    expect(forms.length).toBe(many === undefined ? 1 : 2);
    for (const form of forms) {
        expect(places(form)).toBe(places(many ?? id));
        expect(form.endsWith(" ")).toBe(id.endsWith(" "));
    }
});
