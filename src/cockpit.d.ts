// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of ../base1/cockpit.js that this page uses, described from Cockpit's guide in our own words. The script tag of
// index.html makes it a global; there is no npm package of it.

/** What a rejected spawn, file or channel answers with. */
interface CockpitError {
    /** Cockpit's problem code (not-found, access-denied, terminated, change-conflict …); null when a command ran and failed. */
    problem: string | null;
    message: string;
    exit_status?: number | null;
    exit_signal?: string | null;
}

interface CockpitSpawnOptions {
    superuser?: "require" | "try";
    err?: "out" | "ignore" | "message";
    environ?: string[];
    directory?: string;
    /** Collect output before it is delivered: bytes, and milliseconds at most. */
    batch?: number;
    latency?: number;
}

/** A running command: a promise of its whole output, unless `stream` takes the output away. */
interface CockpitProcess extends Promise<string> {
    input(data: string, stream?: boolean): CockpitProcess;
    stream(callback: (chunk: string) => void): CockpitProcess;
    close(problem?: string): void;
}

interface CockpitFile {
    /** Resolves to content and tag as two arguments: `.then((content, tag) => …)`; awaiting it loses the tag. */
    read(): CockpitReadPromise;
    replace(content: string | null, expectedTag?: string): Promise<string>;
    watch(
        callback: (content: string | null, tag: string, error: CockpitError | null) => void, options?: { read?: boolean },
    ): { remove(): void };
    close(): void;
    path: string;
}

interface CockpitReadPromise {
    then<T>(done: (content: string | null, tag: string) => T, failed?: (error: CockpitError) => T): Promise<T>;
    catch<T>(failed: (error: CockpitError) => T): Promise<T>;
}

interface CockpitChannel extends CockpitEvents {
    /** Bytes on a channel opened with `binary: true`, text on others. */
    send(data: string | Uint8Array): void;
    control(options: object): void;
    wait(): Promise<void>;
    close(problem?: string | object): void;
    valid: boolean;
}

interface CockpitEvents {
    addEventListener(type: string, listener: (event: Event, ...details: unknown[]) => void): void;
    removeEventListener(type: string, listener: (event: Event, ...details: unknown[]) => void): void;
}

interface CockpitLocation {
    readonly path: string[];
    readonly options: Record<string, string | string[]>;
    readonly href: string;
    go(path: string | string[], options?: Record<string, string | string[]>): void;
    replace(path: string | string[], options?: Record<string, string | string[]>): void;
    encode(path: string | string[], options?: Record<string, string | string[]>): string;
}

/** A D-Bus object: its properties by name, `changed` after each change. */
interface CockpitProxy extends CockpitEvents {
    readonly valid: boolean;
    wait(callback?: () => void): Promise<void>;
    readonly [property: string]: unknown;
}

interface CockpitPermission extends CockpitEvents {
    /** null until it is known. */
    allowed: boolean | null;
    close(): void;
}

interface CockpitUser {
    name: string;
    full_name: string;
    home: string;
    groups: string[];
}

interface Cockpit extends CockpitEvents {
    spawn(argv: string[], options?: CockpitSpawnOptions): CockpitProcess;
    file(path: string, options?: { superuser?: "require" | "try"; max_read_size?: number }): CockpitFile;
    channel(options: Record<string, unknown>): CockpitChannel;
    /** The bridge's own objects: `dbus(null, { bus: "internal" })`. */
    dbus(name: string | null, options: { bus: "internal" }): { proxy(iface: string, path: string): CockpitProxy };
    permission(options: { admin: true }): CockpitPermission;
    user(): Promise<CockpitUser>;
    /** A new object after each change of the address; a stale one's `go` does nothing. */
    readonly location: CockpitLocation;
    jump(path: string | string[], host?: string): void;
    hidden: boolean;
    gettext(text: string): string;
    ngettext(one: string, many: string, count: number): string;
    format(template: string, ...args: unknown[]): string;
    language: string;
    language_direction?: "ltr" | "rtl";
    transport: {
        host: string;
        csrf_token: string;
        wait(callback: () => void): void;
        /** The connection to the host's bridge: `close` fires when it is lost. */
        close(problem?: string): void;
        addEventListener: CockpitEvents["addEventListener"];
        removeEventListener: CockpitEvents["removeEventListener"];
    };
    localStorage: { getItem(key: string): string | null; setItem(key: string, value: string): void };
    locale(translations: Record<string, unknown>): void;
}

declare module "*.css";

declare const cockpit: Cockpit;

/** Of the page, put in by build.mjs. */
declare const __VERSION__: string;
