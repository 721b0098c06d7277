// SPDX-License-Identifier: LGPL-2.1-or-later
// The address of the page, `#/guests/charon?fate=deleted`: deep links, the back button and reloads keep what one looks at.
import { useSyncExternalStore } from "react";

export type Options = Readonly<Record<string, string | readonly string[]>>;

function subscribe(changed: () => void) {
    cockpit.addEventListener("locationchanged", changed);
    return () => cockpit.removeEventListener("locationchanged", changed);
}

/** The current place; renders again when it changes. */
export function useLocation(): CockpitLocation {
    return useSyncExternalStore(subscribe, () => cockpit.location);
}

/** All values of an option, which may be absent, one or several. */
export function optionValues(location: CockpitLocation, key: string): string[] {
    const value = location.options[key];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** The options with some replaced; an empty value takes one out. */
export function withOptions(location: CockpitLocation, changes: Options): Record<string, string | string[]> {
    const options: Record<string, string | string[]> = { ...location.options };
    for (const [key, value] of Object.entries(changes)) {
        if (value.length === 0)
            Reflect.deleteProperty(options, key);
        else
            options[key] = typeof value === "string" ? value : [...value];
    }
    return options;
}

/** Changes options in place: for what is typed and ticked, which the back button should not have to walk through. */
export function setOptions(changes: Options) {
    const location = cockpit.location;
    location.replace(location.path, withOptions(location, changes));
}

/** Goes to another place, as a link does. */
export function goTo(path: readonly string[], options: Record<string, string | string[]> = {}) {
    cockpit.location.go([...path], options);
}

/** For `<a href>`: the same place as an address. */
export function hrefTo(path: readonly string[], options: Record<string, string | string[]> = {}): string {
    return `#${cockpit.location.encode([...path], options)}`;
}
