// SPDX-License-Identifier: LGPL-2.1-or-later
// Builds the page into dist/: `node build.mjs` for production, `--watch` for development. With another entry (the tests' harness) names
// and modules stay readable, for the tests to tell what was shown.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import gettext from "gettext-parser";
import { PurgeCSS } from "purgecss";

/** JavaScript and CSS together, gzipped: what a slow line has to carry. */
const LIMIT = 360 * 1024;

const watch = process.argv.includes("--watch");
const out = process.argv.find(argument => argument.startsWith("--out="))?.slice("--out=".length) ?? "dist";

/**
 * Takes out the rules and variables of PatternFly that the bundle does not mention. Its class names stand in the bundle as
 * whole words (the maps of react-styles), ours as literals; what is put together at run time is listed here.
 */
async function withoutUnusedRules(css, js) {
    // PurgeCSS drops each rule with `:is` or `:where` around something else than classes, such as `:where([hidden])`, `:is(:hover)`,
    // `:where(:not(.a))`. It leaves `:not(…)` as it is: there they are hidden from it.
    const hidden = [];
    const hide = text => /^:(?:is|where)\((?:\s*\.[\w-]+\s*,?)+\)$/.test(text) ? text : `:not(hidden-${hidden.push(text) - 1})`;
    const [result] = await new PurgeCSS().purge({
        content: [{ raw: js, extension: "js" }],
        css: [{ raw: css.replace(/:(?:is|where)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/g, hide) }],
        variables: true,
        defaultExtractor: text => text.match(/[\w-]+/g) ?? [],
        safelist: { standard: ["html", "body", "dir", "rtl", "ltr", /^kt-/] },
    });
    const purged = result.css.replace(/:not\(hidden-(\d+)\)/g, (_whole, index) => hidden[Number(index)]);
    const { code } = await esbuild.transform(purged, { loader: "css", minify: true });
    return code;
}

/** `po/de.po` → `po.de.js` as Cockpit's own build writes it; plural forms as a function, since the policy forbids eval. */
function translation(path, wanted = () => true) {
    const { headers, translations } = gettext.po.parse(readFileSync(path));
    const language = basename(path, ".po");
    const plural = /plural=([^;]+)/.exec(headers["Plural-Forms"] ?? headers["plural-forms"] ?? "")?.[1] ?? "n != 1";
    if (!/^[n\d\s()?:!=<>&|%]+$/.test(plural))
        throw new Error(`${path}: plural forms "${plural}"`);
    const direction = headers["X-Language-Direction"] ?? (/^(ar|fa|he|ur)\b/.test(language) ? "rtl" : "ltr");
    const entries = Object.values(translations).flatMap(Object.values)
        .filter(entry => entry.msgid !== "" && wanted(entry.msgid) && entry.msgstr.some(Boolean) && !entry.comments?.flag?.includes("fuzzy"))
        // Sentence and translation on a line each: lintian takes a file with longer lines for one whose source is elsewhere.
        .map(entry => `${JSON.stringify(entry.msgid)}:\n${JSON.stringify([null, ...entry.msgstr])}`);
    const head = `"":{"plural-forms":(n)=>${plural},"language":"${language}","language-direction":"${direction}"}`;
    return `cockpit.locale({${[head, ...entries].join(",\n")}});\n`;
}

/** What the shell itself shows of us: kept apart, or our words would become the shell's. */
function manifestWords() {
    const { tools } = JSON.parse(readFileSync("manifest.json", "utf8"));
    const words = Object.values(tools).flatMap(({ label, keywords = [] }) => [label, ...keywords.flatMap(({ matches }) => matches)]);
    return new Set(words);
}

function copyStatic() {
    const words = manifestWords();
    copyFileSync("src/index.html", join(out, "index.html"));
    copyFileSync("manifest.json", join(out, "manifest.json"));
    for (const file of readdirSync("po").filter(name => name.endsWith(".po"))) {
        const language = basename(file, ".po");
        writeFileSync(join(out, `po.${language}.js`), translation(join("po", file)));
        writeFileSync(join(out, `po.manifest.${language}.js`), translation(join("po", file), word => words.has(word)));
    }
}

const otherEntry = process.argv.find(argument => argument.endsWith(".tsx"));

const options = {
    entryPoints: { index: otherEntry ?? "src/index.tsx" },
    outdir: out,
    bundle: true,
    format: "iife",
    target: "es2022",
    jsx: "automatic",
    external: ["../../static/fonts/*"],
    loader: { ".svg": "empty", ".woff2": "empty" },
    mainFields: ["module", "main"],
    legalComments: "external",
    minify: !watch && otherEntry === undefined,
    sourcemap: watch ? "linked" : false,
    define: { "process.env.NODE_ENV": watch ? '"development"' : '"production"', __VERSION__: JSON.stringify(version()) },
    logLevel: "info",
};

function version() {
    const { version: released } = JSON.parse(readFileSync("package.json", "utf8"));
    try {
        const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
        return watch ? `${released} (${commit})` : released;
    } catch {
        return released;
    }
}

async function production() {
    await esbuild.build({ ...options, logLevel: "warning" });
    const js = readFileSync(join(out, "index.js"), "utf8");
    const css = await withoutUnusedRules(readFileSync(join(out, "index.css"), "utf8"), js);
    writeFileSync(join(out, "index.css"), css);
    const sizes = { "index.js": gzipSync(js, { level: 9 }).length, "index.css": gzipSync(css, { level: 9 }).length };
    const total = sizes["index.js"] + sizes["index.css"];
    const kilo = bytes => `${(bytes / 1024).toFixed(1)} kB`;
    console.log(`gzipped: index.js ${kilo(sizes["index.js"])}, index.css ${kilo(sizes["index.css"])}, together ${kilo(total)} of ${kilo(LIMIT)}`);
    if (total > LIMIT && otherEntry === undefined) {
        console.error("The page has become too big.");
        process.exitCode = 1;
    }
}

if (!watch)
    rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
copyStatic();
if (watch)
    await (await esbuild.context(options)).watch();
else
    await production();
