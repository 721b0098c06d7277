// SPDX-License-Identifier: LGPL-2.1-or-later
// A storm of a thousand events must not mean a thousand reads: the first is answered at once, those that come meanwhile by one
// more read, and a read is followed by a pause as long, so that half of the time is left to the page. A pause ends after a
// quarter of a second, though: the first read of a libvirt that is just starting takes seconds, and what changes right after it
// must not wait as long again.

/** In milliseconds. */
const LONGEST_PAUSE = 250;

export class Coalesce {
    #running = false;
    #next: PromiseWithResolvers | undefined;
    #closed = false;
    #timer: ReturnType<typeof setTimeout> | undefined;

    /** @param work what to do; it handles its own errors. One that escapes it goes to the console, and whatever comes next is done. */
    constructor(readonly work: () => Promise<void>) {}

    /** Asks for the work to be done soon. Resolves when it was done, begun after this call: it has seen whatever happened before. */
    request(): Promise<void> {
        this.#next ??= withResolvers();
        const { promise } = this.#next;
        if (this.#closed)
            this.#next.resolve();
        else if (!this.#running)
            void this.#run();
        return promise;
    }

    async #run() {
        this.#running = true;
        for (let current = this.#take(); current && !this.#closed; current = this.#take()) {
            const start = performance.now();
            try {
                await this.work();
            } catch (error) {
                unhandled(error);
            }
            current.resolve();
            await this.#pause(Math.min(performance.now() - start, LONGEST_PAUSE));
        }
        this.#running = false;
    }

    #take() {
        const current = this.#next;
        this.#next = undefined;
        return current;
    }

    #pause(milliseconds: number): Promise<void> {
        return new Promise(resolve => { this.#timer = setTimeout(resolve, milliseconds); });
    }

    close() {
        this.#closed = true;
        clearTimeout(this.#timer);
        this.#next?.resolve();
    }
}

/** An error that nobody has a sentence for: it must not stop what goes on. */
export function unhandled(error: unknown): void {
    console.error(error);
}

interface PromiseWithResolvers {
    promise: Promise<void>;
    resolve(): void;
}

function withResolvers(): PromiseWithResolvers {
    let resolve: () => void = () => { /* set right below */ };
    const promise = new Promise<void>(done => { resolve = done; });
    return { promise, resolve };
}
