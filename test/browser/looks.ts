// SPDX-License-Identifier: LGPL-2.1-or-later
// What one sees without a person: what sticks out of the window, what is cut off, what is not translated.
import type { Frame, Page } from "playwright-core";

/** Elements that stick out of the window on either side, outside of what scrolls by itself. */
export const sticksOut = (frame: Frame | Page) => frame.evaluate(() => {
    const scrolls = (element: Element | null): boolean => element !== null
        && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const unseen = (element: Element) => element.closest(".kt-sr-only, .pf-v6-u-screen-reader, .pf-v6-screen-reader") !== null;
    const out = (element: Element | null) => {
        const { left, right } = element?.getBoundingClientRect() ?? { left: 0, right: 0 };
        return right > document.documentElement.clientWidth + 1 || left < -1;
    };
    // Of several inside each other the outermost is named.
    return [...document.body.querySelectorAll("*")].filter(element =>
        out(element) && !out(element.parentElement) && !scrolls(element) && !unseen(element))
        .map(element => `sticks out: ${element.outerHTML.slice(0, 120)}`);
});

/** Text that its own box cuts off: less of it is seen than there is. What ends in an ellipsis has its whole text as title. */
export const cutOff = (frame: Frame | Page) => frame.evaluate(() => {
    const isText = (node: Node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim();
    const hasText = (element: Element) => [...element.childNodes].some(isText);
    const hides = (overflow: string) => overflow === "hidden" || overflow === "clip";
    const unseen = (element: HTMLElement) =>
        element.clientWidth < 2 || element.closest(".kt-sr-only, .pf-v6-u-screen-reader, .pf-v6-screen-reader") !== null;
    return [...document.body.querySelectorAll<HTMLElement>("*")].filter(element => {
        const { overflowX, overflowY } = getComputedStyle(element);
        return hasText(element) && !unseen(element)
            && (hides(overflowX) && element.scrollWidth > element.clientWidth + 1 && element.title === ""
                || hides(overflowY) && element.scrollHeight > element.clientHeight + 6);
    }).map(element => `cut off: ${element.outerHTML.slice(0, 120)}`);
});

/**
 * Words outside of the made-up language's brackets (`xx`). Data is not translated: code, what reads from left to right in every language,
 * and what `data` matches.
 */
export const untranslated = (frame: Frame | Page, data: RegExp) => frame.evaluate(([source, flags]) => {
    const known = new RegExp(source ?? "", flags);
    const rest = (text: string): string => {
        const shorter = text.replace(/⟦[^⟦⟧]*⟧/g, " ");
        return shorter === text ? text : rest(shorter);
    };
    const found = new Set<string>();
    const judge = (text: string, where: string) => {
        // A name put into a sentence of brackets may itself stand in brackets; what is left is data or was never translated.
        const left = rest(text).replace(known, " ").trim();
        if (/\p{Letter}{2}/u.test(left))
            found.add(`not translated: "${left.slice(0, 100)}" in ${where}`);
    };
    for (const element of document.querySelectorAll<HTMLElement>("body *")) {
        if (element.closest("pre, code, body [dir=ltr], script, style, time") !== null)
            continue;
        for (const node of element.childNodes) {
            if (node.nodeType === Node.TEXT_NODE)
                judge(node.textContent ?? "", element.outerHTML.slice(0, 120));
        }
        for (const name of ["aria-label", "title", "placeholder", "alt", "data-label"])
            judge(element.getAttribute(name) ?? "", `${name} of ${element.outerHTML.slice(0, 120)}`);
    }
    return [...found];
}, [data.source, data.flags]);
