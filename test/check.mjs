// SPDX-License-Identifier: LGPL-2.1-or-later
// `make check`: every stage, one line each, and the sum. What a stage wrote is in output/check/STAGE.log.
// With --all every combination is run (KVM_TAP_ALL=1); otherwise a covering selection. --only=tsc,unit runs these
// stages, by the names of their logs.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const all = process.argv.includes("--all");
const only = process.argv.find(argument => argument.startsWith("--only="))?.slice("--only=".length).split(",");
const directory = "output/check";
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });

const jest = (project, ...options) => ({
    name: `${project} tests`, file: project, json: `${directory}/${project}.json`,
    argv: ["npx", "--no-install", "jest", "--selectProjects", project, "--json", `--outputFile=${directory}/${project}.json`, ...options],
    minutes: all ? 120 : 20,
});

const stages = [
    { name: "types", file: "tsc", argv: ["npx", "--no-install", "tsc", "-p", "."] },
    { name: "lint", file: "eslint", argv: ["npx", "--no-install", "eslint", "--max-warnings", "0", "src", "test"] },
    { name: "shell scripts", file: "shellcheck", argv: ["make", "--no-print-directory", "-s", "shellcheck"] },
    { name: "size of the page", file: "size", argv: ["node", "build.mjs", "--out=output/check/dist"] },
    jest("unit"),
    { name: "packages", file: "packages", argv: ["make", "--no-print-directory", "-s", "deb", "rpm"], minutes: 10 },
    { name: "trees of the test hosts", file: "trees", argv: ["node", "test/lab/run.mjs", "test/lab/cli.ts", "prepare"], minutes: 15 },
    jest("host", "--maxWorkers=2"),
    jest("browser", "--runInBand"),
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
function run({ argv, file, minutes = 5 }) {
    const [program, ...args] = argv;
    const log = openSync(`${directory}/${file}.log`, "w");
    const environment = { ...process.env, NODE_OPTIONS: "--experimental-vm-modules --no-warnings", ...all && { KVM_TAP_ALL: "1" } };
    return new Promise(resolve => {
        const child = spawn(program, args, { stdio: ["ignore", log, log], env: environment, detached: true });
        running = child;
        const timer = setTimeout(() => { process.kill(-child.pid, "SIGKILL"); resolve(null); }, minutes * 60_000);
        child.on("error", () => resolve(127));
        child.on("close", status => { running = undefined; clearTimeout(timer); closeSync(log); resolve(status); });
    });
}

/** Passed, failed and what failed. A stage of jest that found no test has failed: a check that cannot fail is none. */
function count({ json, name }, status) {
    if (!json)
        return status === 0 ? { passed: 1, failed: 0, what: [] } : { passed: 0, failed: 1, what: [name] };
    if (!existsSync(json))
        return { passed: 0, failed: 1, what: [`${name}: no results`] };
    const results = JSON.parse(readFileSync(json, "utf8"));
    const passed = results.numPassedTests, skipped = results.numPendingTests;
    const broken = results.testResults.filter(file => file.status === "failed" && file.assertionResults.length === 0);
    const what = [
        ...results.testResults.flatMap(file => file.assertionResults.filter(test => test.status === "failed").map(test => test.fullName)),
        ...broken.map(file => `${file.name}: ${file.message.split("\n")[0]}`),
    ];
    if (what.length === 0 && (status !== 0 || passed === 0))
        what.push(`${name}: ${passed === 0 ? "no test ran" : `exit status ${status}`}`);
    return { passed, failed: what.length, skipped, what };
}

let passed = 0, failed = 0;
for (const stage of stages.filter(({ file }) => !only || only.includes(file))) {
    const began = Date.now();
    process.stdout.write(`${stage.name} …`);
    const status = await run(stage);
    const result = count(stage, status);
    passed += result.passed;
    failed += result.failed;
    const skipped = result.skipped ? `, ${result.skipped} SKIPPED` : "";
    const seconds = ((Date.now() - began) / 1000).toFixed(0);
    console.log(` ${result.passed} passed, ${result.failed} failed${skipped} (${seconds} s)${status === null ? " TOOK TOO LONG" : ""}`);
    const lines = readFileSync(`${directory}/${stage.file}.log`, "utf8").split("\n");
    for (const loud of new Set(lines.filter(line => line.startsWith("***"))))
        console.log(`    ${loud}`);
    if (result.failed > 0)
        console.log([...result.what.map(what => `    FAILED ${what}`), ...lines.slice(-40).map(line => `    | ${line}`)].join("\n"));
}
const summary = `${passed} passed, ${failed} failed\n`;
writeFileSync(`${directory}/summary`, summary);
process.stdout.write(summary);
process.exitCode = failed > 0 ? 1 : 0;
