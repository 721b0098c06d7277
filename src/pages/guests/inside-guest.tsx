// SPDX-License-Identifier: LGPL-2.1-or-later
// What to write inside the guest so that it uses its address over the TAP device: ready to copy, for the tools that guests use.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Form } from "@patternfly/react-core/dist/dynamic/components/Form";
import { ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/dynamic/components/Modal";
import ipaddr from "ipaddr.js";
import { useId, useState } from "react";
import type { Guest, Interface } from "../../model/guest.ts";
import { guestFiles, type GuestTool } from "../../model/guest-network.ts";
import { Code } from "../../ui/copy.tsx";
import { DialogFrame } from "../../ui/dialog-frame.tsx";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { _, format, translate } from "../../ui/translate.ts";

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** The addresses that are none, said in one sentence. */
function wrongAddress(text: string): string | undefined {
    const isAddress = (word: string) => ipaddr.IPv4.isValidFourPartDecimal(word) || ipaddr.IPv6.isValid(word);
    const wrong = words(text).find(word => !isAddress(word));
    return wrong === undefined ? undefined : format(_("$0 is not an address."), wrong);
}

export function InsideGuestDialog({ guest, iface, addresses, onClose }: {
    guest: Guest; iface: Interface; addresses: readonly string[]; onClose(): void;
}) {
    const [own, setOwn] = useState(addresses.join(" "));
    const [dns, setDns] = useState("");
    const [name, setName] = useState("eth0");
    const [tool, setTool] = useState<GuestTool>("networkd");
    const id = useId();
    const files = guestFiles({
        mac: iface.mac ?? "", name: name || "eth0", addresses: words(own), nameServers: words(dns),
        ...iface.mtu !== undefined && { mtu: iface.mtu },
    });
    const file = files.find(candidate => candidate.tool === tool);
    const problem = (field: string, text: string) => {
        const says = wrongAddress(text);
        return says === undefined ? { field } : { field, planned: { problems: [{ field, says: { id: says } }] } };
    };
    return (
        <DialogFrame titleId={id} onClose={onClose}>
            <ModalHeader
                title={format(_("For the inside of $0"), guest.name)} labelId={id}
                description={_("Nothing is changed here: copy the text into the guest.")}
            />
            <ModalBody tabIndex={0} aria-label={_("Network configuration")}>
                <Form isHorizontal onSubmit={event => event.preventDefault()}>
                    <TextField label={_("Guest addresses")} {...problem("addresses", own)} value={own} onChange={setOwn} code required />
                    <TextField label={_("Name servers")} {...problem("dns", dns)} value={dns} onChange={setDns} code />
                    <TextField
                        label={_("Interface name")} field="name" value={name} onChange={text => setName(text.replace(/[^A-Za-z0-9_.-]/g, ""))} code
                        help={_("As the guest calls it. Most tools find the interface by its MAC address.")}
                    />
                    <SelectField
                        label={_("Configured by")} field="tool" value={tool} choices={files.map(({ tool: value, title }) => ({ value, label: title }))}
                        onChange={value => setTool(files.find(candidate => candidate.tool === value)?.tool ?? tool)}
                    />
                    {words(own).length === 0
                        ? <p>{_("Enter the guest's address: there is no route to one over this device yet.")}</p>
                        : file && (
                            <div>
                                <p><span className="kt-path" dir="ltr">{file.path}</span></p>
                                <Code text={file.text} label={file.title} />
                                <p className="kt-subtle">{translate(file.says)}</p>
                            </div>
                        )}
                </Form>
            </ModalBody>
            <ModalFooter><Button variant="link" onClick={onClose}>{_("Close")}</Button></ModalFooter>
        </DialogFrame>
    );
}
