// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a TypeScript program outside jest: node test/lab/run.mjs PROGRAM.ts ARGUMENT… (or -e TEXT)
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";

// In the checkout, where the program finds the packages that it imports.
const output = join(import.meta.dirname, "../../output");
mkdirSync(output, { recursive: true });
const directory = mkdtempSync(join(output, "run-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const [program] = process.argv.splice(2, 1);
const input = program === "-e"
    ? { stdin: { contents: process.argv.splice(2, 1)[0], resolveDir: process.cwd(), loader: "ts" } }
    : { entryPoints: [program] };
const outfile = join(directory, "program.mjs");
buildSync({ ...input, outfile, bundle: true, packages: "external", platform: "node", format: "esm", target: "node20", logLevel: "error" });
await import(pathToFileURL(outfile).href);
