// SPDX-License-Identifier: LGPL-2.1-or-later
// Prints the npm packages whose code or styles the built page carries, with their licences, as their terms ask for. Asks esbuild
// rather than package.json: what is bundled is what counts.
import { build } from "esbuild";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Directories of the packages (`node_modules/@scope/name`) of which the page imports something. */
async function bundled() {
    const { metafile } = await build({
        entryPoints: ["src/index.tsx"], bundle: true, write: false, metafile: true, outdir: "unused", logLevel: "error",
        format: "esm", minify: true, define: { "process.env.NODE_ENV": '"production"' }, external: ["*.woff2", "*.woff", "*.ttf", "*.svg", "*.png", "*.jpg"],
    });
    const used = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs)).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
    const found = used.map(([path]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
    return [...new Set(found)].filter(directory => directory !== undefined).sort();
}

function describe(directory) {
    const { name, version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    const file = readdirSync(directory).find(entry => /^(licen[cs]e|copying)/i.test(entry));
    const terms = file === undefined ? "(no licence file in the package)" : readFileSync(join(directory, file), "utf8").trim();
    return `${name} ${version}\nLicence: ${license}\n\n${terms}\n`;
}

const packages = (await bundled()).map(describe);
if (packages.length === 0)
    throw new Error("no npm package found in the page: was it bundled?");
process.stdout.write(`npm packages in the page, as built\n\n${packages.join(`\n${"-".repeat(78)}\n\n`)}`);
