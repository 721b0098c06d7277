// SPDX-License-Identifier: LGPL-2.1-or-later

/**
 * Where menus and popovers are put: into the open dialog, whose outside is hidden from assistive technology, or else into the page's main
 * part. In the body, PatternFly's default, they would belong to no landmark.
 */
export function overlayParent(): HTMLElement {
    return document.querySelector<HTMLElement>(".pf-v6-c-modal-box") ?? document.querySelector("main") ?? document.body;
}
