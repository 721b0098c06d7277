// SPDX-License-Identifier: LGPL-2.1-or-later
// PatternFly's alert with what it says to screen readers in the person's language (by itself it says "Danger alert:") and a title that is
// no heading: it would break the order of the page's own.
import { Alert as PlainAlert, type AlertProps } from "@patternfly/react-core/dist/dynamic/components/Alert";
import { _ } from "./translate.ts";

export { AlertActionCloseButton, AlertActionLink, AlertGroup } from "@patternfly/react-core/dist/dynamic/components/Alert";

function kindOf(variant: AlertProps["variant"]): string {
    switch (variant) {
    case "danger": return _("Error:");
    case "warning": return _("Warning:");
    case "success": return _("Success:");
    default: return _("Information:");
    }
}

export function Alert(props: Omit<AlertProps, "ref">) {
    return <PlainAlert component="p" variantLabel={kindOf(props.variant)} {...props} />;
}
