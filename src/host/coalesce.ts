// SPDX-License-Identifier: LGPL-2.1-or-later
// A storm of a thousand events must not mean a thousand reads: the first is answered at once, those that come meanwhile by one
// more read, and a read that took long is followed by a pause as long, so that half of the time at least is left to the page.

export class Coalesce {
    #running = false;
    #wanted = false;
    #closed = false;
    #timer: ReturnType<typeof setTimeout> | undefined;

    /** @param work what to do; it must handle its own errors */
    constructor(readonly work: () => Promise<void>) {}

    /** Asks for the work to be done soon; whatever happened before this call is seen by it. */
    request() {
        this.#wanted = true;
        if (!this.#running && !this.#closed)
            void this.#run();
    }

    async #run() {
        this.#running = true;
        while (this.#wanted && !this.#closed) {
            this.#wanted = false;
            const start = performance.now();
            await this.work();
            await this.#pause(performance.now() - start);
        }
        this.#running = false;
    }

    #pause(milliseconds: number): Promise<void> {
        return new Promise(resolve => { this.#timer = setTimeout(resolve, milliseconds); });
    }

    close() {
        this.#closed = true;
        clearTimeout(this.#timer);
    }
}
