// SPDX-License-Identifier: LGPL-2.1-or-later
// Our table, read again through the one running `nft` when `nft monitor` names it.
import { msg } from "../model/message.ts";
import { Coalesce } from "./coalesce.ts";
import type { Conversation } from "./conversation.ts";
import { concernsRules, concernsTable, openNft, readTable } from "./nft.ts";
import { failed, read, wordsOf, type Update } from "./reading.ts";
import { CommandError, type Machine } from "./run.ts";
import { Supervise } from "./supervise.ts";

const MONITOR = ["nft", "-j", "monitor"] as const;
/** A firewall that loads its thousand rules is one change; seen within a second all the same. */
const FIREWALL_PAUSE = 500;
/** How often the counters are read while they are on the screen. */
const HITS_INTERVAL = 2000;

const SENTENCES = {
    missing: msg("nft is not installed. Install the package nftables."),
    failed: msg("The table of the 1:1 NAT cannot be read."),
};

export class NatWatch {
    #nft: Conversation | undefined;
    #listing = "";
    #timer: ReturnType<typeof setInterval> | undefined;
    #work = new Coalesce(() => this.#refresh());
    #monitor: Supervise;
    #changes = 0;
    #pause: ReturnType<typeof setTimeout> | undefined;

    constructor(readonly machine: Machine, readonly update: Update) {
        this.#monitor = new Supervise(machine, MONITOR, {
            line: line => {
                if (concernsTable(line))
                    void this.#work.request();
                else if (concernsRules(line))
                    this.#otherChanged();
            },
            opened: () => {
                this.update({ streams: { nat: { state: "live" } } });
                return this.#work.request();
            },
            settled: () => void this.#work.request(),
            ended: (error, again) => {
                this.update({ streams: { nat: { state: "interrupted", words: wordsOf(error), again } } });
                void this.#work.request();
            },
        });
    }

    #otherChanged() {
        this.#pause ??= setTimeout(() => {
            this.#pause = undefined;
            this.#changes += 1;
            this.update({ firewallChanges: this.#changes });
        }, FIREWALL_PAUSE);
    }

    /** The counters of the table while they are on the screen. */
    show(hits: boolean) {
        clearInterval(this.#timer);
        if (!hits)
            return;
        this.#timer = setInterval(() => void this.#work.request(), HITS_INTERVAL);
        void this.#work.request();
    }

    readAll(): Promise<void> {
        return this.#work.request();
    }

    restart() {
        this.#nft?.close();
        this.#nft = undefined;
        this.#monitor.restart();
    }

    retry() {
        this.#nft?.close();
        this.#nft = undefined;
        this.#monitor.retry();
        void this.#work.request();
    }

    close() {
        clearInterval(this.#timer);
        clearTimeout(this.#pause);
        this.#work.close();
        this.#monitor.close();
        this.#nft?.close();
    }

    async #refresh() {
        try {
            this.#nft ??= openNft(this.machine, () => { this.#nft = undefined; });
            const table = await readTable(this.#nft);
            const listing = JSON.stringify(table);
            if (listing === this.#listing)
                return;
            this.#listing = listing;
            this.update({ natTable: read(table) });
        } catch (error) {
            if (error instanceof CommandError && error.problem === "cancelled")
                return;
            this.#listing = "";
            this.update({ natTable: failed(error, SENTENCES) });
        }
    }
}
