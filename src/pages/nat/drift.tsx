// SPDX-License-Identifier: LGPL-2.1-or-later
// Uplinks, and whether the running table, its file and its unit agree; both ways out where they do not.
import { useState } from "react";
import { planHold, planLoadSaved, planSaveRunning, planUpdateRules } from "../../actions/nat-drift.ts";
import { NAT_FILE } from "../../model/nat-file.ts";
import { unheld } from "../../model/nat-held.ts";
import { agreement, drift, driftLine, type NatReading } from "../../model/nat-reading.ts";
import { valueOf } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { Alert } from "../../ui/alert.tsx";
import { Difference } from "../../ui/difference.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Status } from "../../ui/status.tsx";
import { _, format, translate } from "../../ui/translate.ts";
import { CureNotice } from "./cure-notice.tsx";

function DriftDialog({ way, reading, onClose }: { way: "load" | "save"; reading: NatReading; onClose(): void }) {
    const snapshot = useSnapshot();
    const { remove, add } = drift(reading);
    return (
        <PlanDialog
            title={way === "load" ? _("Load what is saved") : _("Save what runs")} size="large"
            action={way === "load" ? _("Load") : _("Save")} done={way === "load" ? _("Saved mappings loaded") : _("Running mappings saved")}
            planned={way === "load" ? planLoadSaved(snapshot) : planSaveRunning(snapshot)} onClose={onClose}
            says={way === "load"
                ? _("The running table becomes what the file says. − runs now, + is saved.")
                : _("The file becomes what runs. − runs now, + is saved.")}
        >
            <Difference before={remove.map(driftLine).sort().join("\n")} after={add.map(driftLine).sort().join("\n")} />
        </PlanDialog>
    );
}

function Ways({ ways, reading }: { ways: readonly ("load" | "save")[]; reading: NatReading }) {
    const [open, setOpen] = useState<"load" | "save">();
    return (
        <>
            {ways.includes("load") && <ChangeButton variant="secondary" onClick={() => setOpen("load")}>{_("Load what is saved…")}</ChangeButton>}
            {" "}
            {ways.includes("save") && <ChangeButton variant="secondary" onClick={() => setOpen("save")}>{_("Save what runs…")}</ChangeButton>}
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    <DriftDialog way={open} reading={reading} onClose={() => setOpen(undefined)} />
                </DialogBoundary>
            )}
        </>
    );
}

/** Lines of the file that are not understood, and elements that belong to no mapping. */
function Oddities({ reading }: { reading: NatReading }) {
    const problems = reading.saved?.problems ?? [];
    const oddities = [...reading.running?.oddities ?? [], ...reading.running?.frame ?? []];
    if (problems.length + oddities.length === 0)
        return null;
    return (
        <Alert variant="warning" isInline title={_("Not everything is understood; the next change would put it right or lose it")}>
            <ul>
                {problems.slice(0, 10).map(({ line, says }) => (
                    <li key={`${line} ${says.id}`}>{format(_("$0, line $1:"), NAT_FILE, line)} {translate(says)}</li>
                ))}
                {oddities.slice(0, 10).map(says => <li key={translate(says)}>{translate(says)}</li>)}
            </ul>
        </Alert>
    );
}

/** What is well, or nearly: a word beside the uplinks. */
function Well({ reading }: { reading: NatReading }) {
    const enabled = valueOf(useSnapshot().enabled)?.has("kvm-tap-nat.service");
    if (agreement(reading) !== "agree")
        return null;
    return enabled === false
        ? <Status kind="warning" reason={_("kvm-tap-nat.service is not enabled: after a reboot nothing is mapped.")}>{_("Not loaded at boot")}</Status>
        : <Status kind="success">{_("Running and saved agree")}</Status>;
}

/** What is not: a notice with the ways out. */
function Drift({ reading }: { reading: NatReading }) {
    switch (agreement(reading)) {
    case "none":
    case "agree":
        return null;
    case "outdated":
        return (
            <CureNotice
                shown variant="warning" plan={planUpdateRules} dialogTitle={_("Update the rules of the NAT table")}
                title={_("The rules of the NAT table are of an older version")}
            >
                {_("The mappings work as before. The newer rules also keep neighbours on the uplinks from getting past the limits of mappings.")}
            </CureNotice>
        );
    case "lost":
        return (
            <Alert
                variant="danger" isInline title={_("The table is gone: nothing is translated")}
                actionLinks={<Ways ways={["load"]} reading={reading} />}
            >
                {_("Something flushed the host's nftables rules. The mappings are still saved.")}
            </Alert>
        );
    case "damaged":
        return (
            <Alert
                variant="danger" isInline title={format(_("$0 has no mappings: it is empty or damaged"), NAT_FILE)}
                actionLinks={reading.running && <Ways ways={["save"]} reading={reading} />}
            >
                {reading.running
                    ? _("What runs is not saved: after a reboot nothing is mapped.")
                    : _("Nothing is translated. Put a copy of the file in its place, or map the addresses again.")}
            </Alert>
        );
    case "unsaved":
        return (
            <Alert
                variant="warning" isInline title={_("What runs is not saved")}
                actionLinks={<Ways ways={["save"]} reading={reading} />}
            >
                {format(_("$0 is missing: after a reboot nothing is mapped."), NAT_FILE)}
            </Alert>
        );
    case "differ":
        return (
            <Alert
                variant="warning" isInline title={_("The running table differs from what is saved")}
                actionLinks={<Ways ways={["load", "save"]} reading={reading} />}
            >
                {format(_("Somebody changed $0 or the table by hand. Settle it before the next change."), NAT_FILE)}
            </Alert>
        );
    }
}

/** Addresses that the host does not answer for any more. */
function Unheld({ reading }: { reading: NatReading }) {
    const addresses = unheld(useSnapshot(), reading.running?.state.mappings ?? []);
    return (
        <CureNotice
            shown={addresses.length > 0} variant="danger" plan={planHold} dialogTitle={_("Public addresses without a local route")}
            title={format(_("This host does not answer for $0: its local route is missing."), listed(addresses))}
        >
            {_("Somebody removed it. systemd-networkd does so at its restart where a .network file matches lo.")}
        </CureNotice>
    );
}

const listed = (addresses: readonly string[]) => addresses.slice(0, 3).join(", ") + (addresses.length > 3 ? ` +${addresses.length - 3}` : "");

/** While a change waits for its confirmation, kernel and file differ on purpose. */
export function NatStatus({ reading, pending }: { reading: NatReading; pending: boolean }) {
    const uplinks = (reading.running ?? reading.saved)?.state.uplinks ?? [];
    return (
        <>
            {uplinks.length > 0 && (
                <div className="kt-numbers">
                    <span className="kt-number kt-number-plain">{_("Uplinks:")} <span dir="ltr">{uplinks.join(", ")}</span></span>
                    <Well reading={reading} />
                </div>
            )}
            {!pending && <Drift reading={reading} />}
            {!pending && <Unheld reading={reading} />}
            <Oddities reading={reading} />
        </>
    );
}
