// SPDX-License-Identifier: LGPL-2.1-or-later
// Which Debian releases a test file runs on.
import { releases, tree, type Release } from "./trees.ts";

/**
 * Calls `body` once for each release, inside a `describe` of the release's name. For the top level of a test file:
 *
 *     await eachRelease(release => { … beforeAll(async () => { host = await startHost({ release }); }) … });
 *
 * KVM_TAP_RELEASES="trixie bookworm" narrows the choice. forky, which is still in the making, is skipped with a loud line when its archive
 * cannot be had; the others are not.
 */
export async function eachRelease(body: (release: Release) => void): Promise<void> {
    for (const release of chosen()) {
        const describeIt = release === "forky" && !await available(release) ? describe.skip : describe;
        describeIt(release, () => body(release));
    }
}

function chosen(): readonly Release[] {
    const named = process.env["KVM_TAP_RELEASES"]?.split(" ").filter(name => name !== "");
    return named ? releases.filter(release => named.includes(release)) : releases;
}

async function available(release: Release): Promise<boolean> {
    try {
        await tree(release);
        return true;
    } catch (error) {
        process.stderr.write(`\n*** SKIPPED: everything on ${release}, whose tree cannot be made: ${String(error)}\n\n`);
        return false;
    }
}

/**
 * The release of a journey that one is enough for: trixie, or the first that KVM_TAP_RELEASES names. `make check-all` runs these journeys
 * once on each.
 */
export function oneRelease(): Release {
    const named = process.env["KVM_TAP_RELEASES"] === undefined ? [] : chosen();
    return named[0] ?? "trixie";
}
