// SPDX-License-Identifier: LGPL-2.1-or-later
// Programs on the machine that runs the lab.
import { spawn } from "node:child_process";

export interface Finished {
    /** null when a signal ended it or it could not be started. */
    status: number | null;
    stdout: string;
    stderr: string;
}

/** Runs a program to its end, whatever its status. */
export function finish(argv: readonly string[], input = ""): Promise<Finished> {
    const [program = "", ...args] = argv;
    return new Promise(resolve => {
        const child = spawn(program, args, { stdio: "pipe" });
        let stdout = "", stderr = "";
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => { stdout += chunk; });
        child.stderr.setEncoding("utf8").on("data", (chunk: string) => { stderr += chunk; });
        child.on("error", error => resolve({ status: null, stdout, stderr: error.message }));
        child.on("close", status => resolve({ status, stdout, stderr }));
        child.stdin.on("error", () => { /* the program did not read its input to the end */ });
        child.stdin.end(input);
    });
}

/** Runs a program of the lab's own that has to succeed; answers its standard output. */
export async function must(argv: readonly string[], input = ""): Promise<string> {
    const { status, stdout, stderr } = await finish(argv, input);
    if (status !== 0)
        throw new Error(`lab: ${argv.join(" ")}: ${stderr.trim() || stdout.trim() || `exit status ${status}`}`);
    return stdout;
}

export const sleep = (milliseconds: number) => new Promise<void>(resolve => { setTimeout(resolve, milliseconds); });

/**
 * Asks again every 50 ms until the answer is neither false, null nor undefined; errors count as "not yet".
 * For the tests' own observations; the page never polls.
 * @param what completes the sentence "waited 10 s for …"
 */
export async function until<T>(
    what: string, ask: () => Promise<T | false | null | undefined> | T | false | null | undefined, seconds = 10,
): Promise<T> {
    const end = Date.now() + seconds * 1000;
    let words = "";
    for (;;) {
        try {
            const answer = await ask();
            if (answer !== false && answer !== null && answer !== undefined)
                return answer;
        } catch (error) {
            words = `: ${String(error)}`;
        }
        if (Date.now() > end)
            throw new Error(`lab: waited ${seconds} s for ${what}${words}`);
        await sleep(50);
    }
}
