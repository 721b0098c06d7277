// SPDX-License-Identifier: LGPL-2.1-or-later
// Collects every sentence for translators into po/kvm-tap.pot, and brings po/*.po up to date with it: `npm run pot`.
// Sentences are the literals in _("…"), msg("…", …) and plural("…", "…", n), and the words of the manifest.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import gettext from "gettext-parser";
import ts from "typescript";

const found = new Map();

function add(reference, id, many) {
    const entry = found.get(id) ?? { msgid: id, references: new Set() };
    entry.references.add(reference);
    if (many !== undefined)
        entry.msgid_plural = many;
    found.set(id, entry);
}

const literal = node => node && (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) ? node.text : undefined;

/** All literals an argument may be: `open ? "a" : "b"` is two. */
function literals(node) {
    if (node && ts.isConditionalExpression(node))
        return [...literals(node.whenTrue), ...literals(node.whenFalse)];
    if (node && ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
        const [left, right] = [literals(node.left), literals(node.right)];
        return left.length === 1 && right.length === 1 ? [left[0] + right[0]] : [];
    }
    const text = literal(node);
    return text === undefined ? [] : [text];
}

function visit(node, file, source) {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
        const name = node.expression.text;
        const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
        if (name === "_" || name === "msg") {
            const texts = literals(node.arguments[0]);
            if (texts.length === 0)
                throw new Error(`${file}:${line}: ${name}() wants a literal`);
            texts.forEach(text => add(file, text));
        }
        if (name === "plural")
            add(file, literal(node.arguments[0]) ?? "", literal(node.arguments[1]));
    }
    ts.forEachChild(node, child => visit(child, file, source));
}

function sources(folder) {
    return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
        const path = join(folder, entry.name);
        return entry.isDirectory() ? sources(path) : /\.tsx?$/.test(path) && !path.endsWith(".d.ts") ? [path] : [];
    });
}

for (const file of sources("src").sort()) {
    if (["src/model/message.ts", "src/ui/translate.ts"].includes(file))
        continue;
    const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, true);
    visit(source, file, source);
}
for (const { label, keywords = [] } of Object.values(JSON.parse(readFileSync("manifest.json", "utf8")).tools))
    [label, ...keywords.flatMap(({ matches }) => matches)].forEach(word => add("manifest.json", word));

function entries(translated) {
    return Object.fromEntries([...found.values()].map(({ references, ...entry }) => [entry.msgid, {
        ...entry,
        comments: { reference: [...references].sort().join("\n") },
        msgstr: translated?.[entry.msgid]?.msgstr ?? (entry.msgid_plural === undefined ? [""] : ["", ""]),
    }]));
}

const compile = (headers, translated) => gettext.po.compile(
    { charset: "utf-8", headers, translations: { "": { "": { msgid: "", msgstr: [""] }, ...entries(translated) } } },
    { sort: (a, b) => a.msgid < b.msgid ? -1 : 1, foldLength: 120 });

const headers = { "Project-Id-Version": "kvm-tap", "MIME-Version": "1.0", "Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit" };
writeFileSync("po/kvm-tap.pot", compile(headers));
for (const file of readdirSync("po").filter(name => name.endsWith(".po"))) {
    const parsed = gettext.po.parse(readFileSync(join("po", file)));
    writeFileSync(join("po", file), compile(parsed.headers, parsed.translations[""]));
    const missing = [...found.keys()].filter(id => !parsed.translations[""]?.[id]?.msgstr.some(Boolean));
    console.log(`${basename(file, ".po")}: ${found.size - missing.length} of ${found.size} translated`);
    missing.forEach(id => console.log(`    ${id}`));
}
console.log(`${found.size} sentences`);
