// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a TypeScript program outside jest: node test/lab/run.mjs PROGRAM.ts ARGUMENT… (or -e TEXT)
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";

const directory = mkdtempSync(join(tmpdir(), "kvm-tap-run-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const [program] = process.argv.splice(2, 1);
const input = program === "-e"
    ? { stdin: { contents: process.argv.splice(2, 1)[0], resolveDir: process.cwd(), loader: "ts" } }
    : { entryPoints: [program] };
const outfile = join(directory, "program.mjs");
buildSync({ ...input, outfile, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "error" });
await import(pathToFileURL(outfile).href);
