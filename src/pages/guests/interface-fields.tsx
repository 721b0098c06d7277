// SPDX-License-Identifier: LGPL-2.1-or-later
// The form of an `<interface>`: what one changes every day, and the rest under "More". All of it reads and edits the XML.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { TextInput } from "@patternfly/react-core/dist/dynamic/components/TextInput";
import { useId } from "react";
import type { Former } from "../../actions/edit-interface.ts";
import type { LibvirtNames } from "../../host/virsh.ts";
import { convertedTo, convertible, formOf, type InterfaceField } from "../../model/interface-form.ts";
import { randomMac } from "../../model/names.ts";
import type { Planned } from "../../model/plan.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { isTap, type Link } from "../../model/tap.ts";
import { Field, problemOf, SelectField, TextField } from "../../ui/fields.tsx";
import { More } from "../../ui/more.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format } from "../../ui/translate.ts";
import { formatTime } from "../../ui/units.ts";

export interface FieldsProps {
    xml: string;
    planned: Planned;
    /** Some fields were changed. */
    onFields(fields: Partial<Record<InterfaceField, string>>): void;
    /** The whole was changed. */
    onChange(xml: string): void;
    /** How it is and was, the latest first. */
    former: readonly Former[];
    names: LibvirtNames;
}

/** What every field needs to read and edit one attribute. */
function useFields({ xml, planned, onFields }: FieldsProps) {
    const form = formOf(xml);
    const text = (field: InterfaceField) => ({
        field, planned, value: form[field], code: true, onChange: (value: string) => onFields({ [field]: value }),
    });
    const choice = (field: InterfaceField, choices: readonly { value: string; label: string }[]) => {
        const known = choices.some(({ value }) => value === form[field]);
        return {
            field, planned, value: form[field], onChange: (value: string) => onFields({ [field]: value }),
            choices: known ? choices : [...choices, { value: form[field], label: form[field] }],
        };
    };
    return { form, text, choice };
}

const onOff = () => [{ value: "", label: _("as libvirt decides") }, { value: "on", label: _("on") }, { value: "off", label: _("off") }];

/** TAP devices that no guest's definition names; the one in use now comes first. */
function freeDevices(snapshot: Snapshot, current: string): string[] {
    const used = new Set((valueOf(snapshot.guests) ?? []).flatMap(guest =>
        [...guest.configured?.interfaces ?? [], ...guest.live?.interfaces ?? []].map(iface => iface.target)));
    const taps = (valueOf(snapshot.links) ?? []).filter(isTap).map(link => link.name);
    return taps.filter(name => name === current || !used.has(name));
}

const namesOf = (links: readonly Link[]) => links.map(link => link.name);

function Source(props: FieldsProps) {
    const snapshot = useSnapshot();
    const { form, text, choice } = useFields(props);
    const links = valueOf(snapshot.links) ?? [];
    switch (form.type) {
    case "ethernet":
        return (
            <>
                <TextField
                    {...text("target")} label={_("TAP device")} required suggestions={freeDevices(snapshot, form.target)}
                    help={_("A device of this host that no other guest uses.")}
                />
                <SelectField
                    {...choice("managed", [
                        { value: "no", label: _("me: libvirt neither makes nor deletes it") },
                        { value: "", label: _("libvirt: made at the start, deleted at the stop") },
                    ])}
                    label={_("The device belongs to")}
                />
            </>
        );
    case "bridge":
        return <TextField {...text("bridge")} label={_("Bridge")} required suggestions={namesOf(links.filter(link => link.kind === "bridge"))} />;
    case "network":
        return <TextField {...text("network")} label={_("libvirt network")} required suggestions={props.names.networks} />;
    case "direct":
        return <TextField {...text("sourceDevice")} label={_("Device of the host")} required suggestions={namesOf(links)} />;
    default:
        return null;
    }
}

/** Where what belongs to the chosen type comes from. */
function whereFrom(type: string, [now, ...before]: readonly Former[]): string | undefined {
    const isType = ({ xml }: Former) => formOf(xml).type === type;
    if (!now || isType(now))
        return undefined;
    const until = before.find(isType)?.until;
    if (until !== undefined)
        return format(_("As it was until $0, by the journal."), formatTime(until));
    return type === "ethernet" ? undefined : _("The journal does not know how it was connected before: choose.");
}

function TypeField({ xml, onChange, type, former }: FieldsProps & { type: string }) {
    const names: Record<string, string> = {
        ethernet: _("TAP device, routed (ethernet)"), bridge: _("Bridge of the host (bridge)"), network: _("libvirt network (network)"),
        direct: _("Shared device, macvtap (direct)"),
    };
    const all = (convertible as readonly string[]).includes(type) ? convertible : [...convertible, type];
    return (
        <SelectField
            label={_("Connected to")} field="type" value={type} choices={all.map(value => ({ value, label: names[value] ?? value }))}
            onChange={value => onChange(convertedTo(xml, value, former.map(was => was.xml)))} help={whereFrom(type, former)}
        />
    );
}

/** What one changes every day. */
export function EverydayFields(props: FieldsProps) {
    const { form, text, choice } = useFields(props);
    const newMac = () => props.onFields({ mac: randomMac() });
    return (
        <>
            <TypeField {...props} type={form.type} />
            <Source {...props} />
            <TextField
                {...text("mac")} label={_("MAC address")} required
                help={<Button variant="link" isInline onClick={newMac}>{_("Make a new one")}</Button>}
            />
            <TextField {...text("model")} label={_("Model")} suggestions={models} />
            <SelectField
                {...choice("linkState", [{ value: "", label: _("plugged in") }, { value: "down", label: _("unplugged") }])} label={_("Cable")}
                help={_("As the guest sees it.")}
            />
        </>
    );
}

const models = ["virtio", "e1000e", "e1000", "igb", "vmxnet3", "rtl8139"];

const driverFields = ["driver", "rxQueueSize", "txQueueSize", "txMode", "ioEventFd", "eventIdx", "packed", "rss", "rssHashReport", "pagePerVq",
    "iommu", "ats"] as const satisfies readonly InterfaceField[];
const romFields = ["romEnabled", "romBar", "romFile"] as const satisfies readonly InterfaceField[];
const moreFields = [...driverFields, ...romFields, "queues", "mtu", "bootOrder", "inAverage", "inPeak", "inBurst", "outAverage", "outPeak", "outBurst",
    "filter", "script", "downscript", "trustGuestRxFilters", "pci", "acpiIndex", "alias"] as const satisfies readonly InterfaceField[];

/** Whether something is wrong with one of these fields: then they must be seen. */
function isWrong(planned: Planned, fields: readonly InterfaceField[]): boolean {
    return fields.some(field => problemOf(planned, field) !== undefined);
}

/** The rest of what libvirt takes; what even this does not have can be written as XML. */
export function MoreFields(props: FieldsProps) {
    const { text, choice } = useFields(props);
    const { planned, names } = props;
    return (
        <More open={isWrong(planned, moreFields)}>
            <TextField {...text("queues")} label={_("Queues")} help={_("2 or more need a multi-queue device.")} />
            <TextField {...text("mtu")} label={_("MTU")} help={_("As the guest sees it; the device of the host has its own.")} />
            <TextField {...text("bootOrder")} label={_("Boot order")} />
            <Rates label={_("Limit to the guest")} fields={["inAverage", "inPeak", "inBurst"]} {...props} />
            <Rates label={_("Limit from the guest")} fields={["outAverage", "outPeak", "outBurst"]} {...props} />
            <TextField {...text("filter")} label={_("Network filter")} suggestions={names.filters} />
            <TextField {...text("script")} label={_("Script at the start")} />
            <TextField {...text("downscript")} label={_("Script at the stop")} />
            <SelectField
                {...choice("trustGuestRxFilters", [{ value: "", label: _("no") }, { value: "yes", label: _("yes") }])}
                label={_("Guest may change its address filters")}
            />
            <TextField {...text("pci")} label={_("PCI address")} help={_("Like 0000:01:00.0. For a new interface libvirt chooses one.")} />
            <TextField {...text("acpiIndex")} label={_("ACPI index")} help={_("Linux in the guest names the interface by it: 1 makes eno1.")} />
            <TextField {...text("alias")} label={_("Alias")} help={_("Begins with ua-.")} />
            <More title={_("Driver")} open={isWrong(planned, driverFields)}><DriverFields {...props} /></More>
            <More title={_("Boot ROM")} open={isWrong(planned, romFields)}><RomFields {...props} /></More>
        </More>
    );
}

function DriverFields(props: FieldsProps) {
    const { text, choice } = useFields(props);
    const decides = { value: "", label: _("as libvirt decides") };
    const one = (value: string) => ({ value, label: value });
    return (
        <>
            <SelectField {...choice("driver", [decides, one("vhost"), one("qemu")])} label={_("Driver")} />
            <TextField {...text("rxQueueSize")} label={_("Receive queue size")} />
            <TextField {...text("txQueueSize")} label={_("Send queue size")} />
            <SelectField {...choice("txMode", [decides, one("iothread"), one("timer")])} label={_("Sending by")} />
            <SelectField {...choice("ioEventFd", onOff())} label="ioeventfd" />
            <SelectField {...choice("eventIdx", onOff())} label="event_idx" />
            <SelectField {...choice("packed", onOff())} label={_("Packed queues")} />
            <SelectField {...choice("rss", onOff())} label={_("Receive-side scaling")} />
            <SelectField {...choice("rssHashReport", onOff())} label={_("Report of the hash")} />
            <SelectField {...choice("pagePerVq", onOff())} label="page_per_vq" />
            <SelectField {...choice("iommu", onOff())} label="iommu" />
            <SelectField {...choice("ats", onOff())} label="ats" />
        </>
    );
}

function RomFields(props: FieldsProps) {
    const { text, choice } = useFields(props);
    const yesNo = [{ value: "", label: _("as libvirt decides") }, { value: "yes", label: _("yes") }, { value: "no", label: _("no") }];
    return (
        <>
            <SelectField {...choice("romEnabled", yesNo)} label={_("Boot ROM")} />
            <SelectField {...choice("romBar", onOff())} label={_("Show the boot ROM")} />
            <TextField {...text("romFile")} label={_("Boot ROM file")} />
        </>
    );
}

/** Three numbers that belong together; what is wrong with any of them is said under all. */
function Rates({ label, fields, ...props }: FieldsProps & { label: string; fields: readonly InterfaceField[] }) {
    const { text } = useFields(props);
    const id = useId();
    const parts = [_("average"), _("at most"), _("at once")];
    const problem = fields.map(field => problemOf(props.planned, field)).find(Boolean);
    return (
        <Field id={`${id}-0`} label={label} problem={problem} help={_("In kB a second on average and at most, and kB at once.")}>
            <div className="kt-beside">
                {fields.map((field, index) => {
                    const { value, onChange } = text(field);
                    return (
                        <TextInput
                            key={field} id={`${id}-${index}`} value={value} onChange={(_event, changed) => onChange(changed)} dir="ltr"
                            inputMode="numeric" aria-label={`${label}: ${parts[index] ?? ""}`} placeholder={parts[index] ?? ""}
                            validated={problemOf(props.planned, field) === undefined ? "default" : "error"}
                        />
                    );
                })}
            </div>
        </Field>
    );
}
