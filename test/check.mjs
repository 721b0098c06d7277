// SPDX-License-Identifier: LGPL-2.1-or-later
// `make check`: every stage, one line each, and the sum. What a stage wrote is in output/check/STAGE.log.
// With --all every combination is run (KVM_TAP_ALL=1); otherwise a covering selection. --only=tsc,unit runs these
// stages, by the names of their logs. A file of host or browser tests that failed is run once more, by itself, when the others are
// done: what passes then depends on how busy the machine is, and is told loudly.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const all = process.argv.includes("--all");
const only = process.argv.find(argument => argument.startsWith("--only="))?.slice("--only=".length).split(",");
const directory = "output/check";
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });

const jest = (project, ...options) => ({
    name: `${project} tests`, file: project, json: `${directory}/${project}.json`,
    argv: ["npx", "--no-install", "jest", `--selectProjects=${project}`, "--json", `--outputFile=${directory}/${project}.json`, ...options],
    // Only what hangs is ended by it.
    minutes: all ? 120 : 35,
});

/** The stage that runs only these files of another, one after the other. */
const again = (stage, files) => ({
    ...stage, file: `${stage.file}-again`, json: `${directory}/${stage.file}-again.json`,
    argv: [
        ...stage.argv.filter(argument => !/^--(maxWorkers|outputFile)=/.test(argument)),
        "--runInBand", `--outputFile=${directory}/${stage.file}-again.json`, "--runTestsByPath", ...files,
    ],
});

/** The browser's journeys that run on one release otherwise (oneRelease() in test/lab/releases.ts). */
function journeysOn(release) {
    const stage = jest("browser", "--runInBand", "--testPathPatterns=browser/(guests|interfaces|nat.*|tap.*|thread)[.]test");
    const file = `browser-${release}`;
    return {
        ...stage, name: `browser tests on ${release}`, file, json: `${directory}/${file}.json`, environment: { KVM_TAP_RELEASES: release },
        argv: stage.argv.map(argument => argument.replace(stage.json, `${directory}/${file}.json`)),
    };
}

const stages = [
    { name: "types", file: "tsc", argv: ["npx", "--no-install", "tsc", "-p", "."] },
    { name: "lint", file: "eslint", argv: ["npx", "--no-install", "eslint", "--max-warnings", "0", "src", "test"] },
    { name: "shell scripts", file: "shellcheck", argv: ["make", "--no-print-directory", "-s", "shellcheck"] },
    { name: "types and unit tests of the host's part", file: "hostcheck", argv: ["make", "--no-print-directory", "-s", "hostcheck"] },
    { name: "size of the page", file: "size", argv: ["node", "build.mjs", "--out=output/check/dist"] },
    jest("unit"),
    { name: "packages", file: "packages", argv: ["make", "--no-print-directory", "-s", "deb", "rpm"], minutes: 10 },
    { name: "trees of the test hosts", file: "trees", argv: ["node", "test/lab/run.mjs", "test/lab/cli.ts", "prepare"], minutes: 15 },
    jest("host", "--maxWorkers=2"),
    jest("browser", "--runInBand"),
    ...all ? ["bookworm", "forky"].map(journeysOn) : [],
];

/** The stage that is running, which is a process group of its own: Ctrl-C must reach it. */
let running;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.once(signal, () => {
        if (running)
            process.kill(-running.pid, "SIGTERM");
        process.exit(130);
    });
}

/** Exit status; null when it took too long. */
function run({ argv, file, minutes = 5, environment: own = {} }) {
    const [program, ...args] = argv;
    const log = openSync(`${directory}/${file}.log`, "w");
    const environment = { ...process.env, NODE_OPTIONS: "--experimental-vm-modules --no-warnings", ...all && { KVM_TAP_ALL: "1" }, ...own };
    return new Promise(resolve => {
        const child = spawn(program, args, { stdio: ["ignore", log, log], env: environment, detached: true });
        running = child;
        const timer = setTimeout(() => { process.kill(-child.pid, "SIGKILL"); resolve(null); }, minutes * 60_000);
        child.on("error", () => resolve(127));
        child.on("close", status => { running = undefined; clearTimeout(timer); closeSync(log); resolve(status); });
    });
}

const failedIn = file => file.assertionResults.filter(test => test.status === "failed");

/** Files of which a test, or the file itself, failed. */
const failedFiles = results => results.testResults.filter(file => file.status === "failed");

/** What jest wrote; undefined where it did not come to that. */
const resultsOf = ({ json }) => existsSync(json) ? JSON.parse(readFileSync(json, "utf8")) : undefined;

/** Passed, skipped and what failed, with why. A stage of jest that found no test has failed: a check that cannot fail is none. */
function count(stage, status) {
    if (!stage.json)
        return status === 0 ? { passed: 1, what: [] } : { passed: 0, what: [{ name: stage.name, why: tail(stage) }] };
    const results = resultsOf(stage);
    if (!results)
        return { passed: 0, what: [{ name: `${stage.name}: no results`, why: tail(stage) }] };
    const { numPassedTests: passed, numPendingTests: skipped } = results;
    const what = failedFiles(results).flatMap(file => failedIn(file).length > 0
        ? failedIn(file).map(test => ({ name: test.fullName, why: test.failureMessages.join("\n") }))
        : [{ name: file.name, why: file.message }]);
    if (what.length === 0 && (status !== 0 || passed === 0))
        what.push({ name: `${stage.name}: ${passed === 0 ? "no test ran" : `exit status ${status}`}`, why: tail(stage) });
    return { passed, skipped, what };
}

/** Runs the files that failed once more and counts them as they are now. */
async function secondTry(stage, first) {
    const results = resultsOf(stage);
    const files = results ? failedFiles(results) : [];
    if (files.length === 0)
        return first;
    const second = again(stage, files.map(file => file.name));
    const now = count(second, await run(second));
    const passedBefore = files.flatMap(file => file.assertionResults.filter(test => test.status === "passed")).length;
    const still = new Set(now.what.map(({ name }) => name));
    for (const { name, why } of first.what.filter(({ name }) => !still.has(name)))
        console.log(`\n    *** PASSED ONLY THE SECOND TIME ${name}\n${indent(why)}`);
    return { ...first, passed: first.passed - passedBefore + now.passed, what: now.what };
}

const tail = ({ file }) => readFileSync(`${directory}/${file}.log`, "utf8").split("\n").slice(-40).join("\n");

/** The beginning of why something failed, without its colours. */
const indent = why => why.replace(/\x1b\[[0-9;]*m/g, "").split("\n")
    .filter(line => !line.includes("/node_modules/")).slice(0, 40).map(line => `    | ${line}`).join("\n");

let passed = 0, failed = 0;
for (const stage of stages.filter(({ file }) => !only || only.includes(file))) {
    const began = Date.now();
    process.stdout.write(`${stage.name} …`);
    const status = await run(stage);
    const first = count(stage, status);
    const result = ["host", "browser"].includes(stage.file) && status !== null ? await secondTry(stage, first) : first;
    passed += result.passed;
    failed += result.what.length;
    const skipped = result.skipped ? `, ${result.skipped} SKIPPED` : "";
    const seconds = ((Date.now() - began) / 1000).toFixed(0);
    console.log(` ${result.passed} passed, ${result.what.length} failed${skipped} (${seconds} s)${status === null ? " TOOK TOO LONG" : ""}`);
    const lines = readFileSync(`${directory}/${stage.file}.log`, "utf8").split("\n");
    for (const loud of new Set(lines.filter(line => line.startsWith("***"))))
        console.log(`    ${loud}`);
    for (const { name, why } of result.what)
        console.log(`    FAILED ${name}\n${indent(why)}`);
}
const summary = `${passed} passed, ${failed} failed\n`;
writeFileSync(`${directory}/summary`, summary);
process.stdout.write(summary);
process.exitCode = failed > 0 ? 1 : 0;
