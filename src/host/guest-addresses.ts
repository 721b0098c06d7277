// SPDX-License-Identifier: LGPL-2.1-or-later
// Addresses of guests that the host's routes do not tell: its neighbour table, libvirt's DHCP leases and the guest agents. One `ip`
// and one `virsh` for all guests, and only while somebody asks. It is not the `virsh` that watches the guests: an agent that hangs
// keeps its caller waiting (libvirt waits 5 s for an agent to wake up), and that must be nobody but the agents asked after it.
import { parseAddress } from "../model/nat-address.ts";
import type { FoundAddress } from "../model/guest-addresses.ts";
import { msg, type Message } from "../model/message.ts";
import type { Conversation } from "./conversation.ts";
import { neighbourEntries } from "./ip.ts";
import { CommandError, type Machine } from "./run.ts";
import { errorsIn, openVirsh, uuidsIn } from "./virsh.ts";

export interface AddressSearch {
    addresses: readonly FoundAddress[];
    /** Nothing more will come. */
    done: boolean;
    /** What could not be asked. */
    unread: readonly Message[];
}

/** Of `ip -j neigh show`. */
export function neighboursIn(answer: string): FoundAddress[] {
    return neighbourEntries(answer).map(({ address, device, lladdr }) => ({ mac: lladdr.toLowerCase(), address, by: "neighbour", link: device }));
}

/**
 * Rows of `net-dhcp-leases` and of `domifaddr --full`: MAC address, protocol, address with its prefix. What stands before is a date or the
 * interface's name inside the guest, which may hold blanks; what stands behind is the guest's as well, so only the first of a line counts.
 */
export function addressesIn(answer: string): { mac: string; address: string }[] {
    return [...answer.matchAll(/^.*?\s([0-9a-f]{2}(?::[0-9a-f]{2}){5})\s+ipv[46]\s+([0-9a-f.:]+)\/\d+/gim)].flatMap(([, mac = "", address = ""]) =>
        parseAddress(address) ? [{ mac: mac.toLowerCase(), address }] : []);
}

/** A network of libvirt's that runs, and the bridge on which its leases are given. */
interface LeasingNetwork {
    network: string;
    link: string;
}

/** `net-info` (virsh-network.c cmdNetworkInfo). Undefined for a network without a bridge: libvirt gives no leases there. */
function networkIn(answer: string): LeasingNetwork | undefined {
    const network = /^Name: +(.*)$/m.exec(answer)?.[1], link = /^Bridge: +(\S+)$/m.exec(answer)?.[1];
    return network === undefined || link === undefined ? undefined : { network, link };
}

export function leasesIn(answer: string, on: LeasingNetwork): FoundAddress[] {
    return addressesIn(answer).map(row => ({ ...row, by: "lease", ...on }));
}

async function leases(virsh: Conversation): Promise<FoundAddress[]> {
    const networks = await virsh.one("net-list --uuid");
    if (errorsIn(networks) !== "")
        throw new Error(errorsIn(networks));
    const found: FoundAddress[] = [];
    let asked: LeasingNetwork | undefined;
    await virsh.ask(uuidsIn(networks).flatMap(uuid => [`net-info ${uuid}`, `net-dhcp-leases ${uuid}`]), (answer, index) => {
        if (index % 2 === 0)
            asked = networkIn(answer);
        else if (asked)
            found.push(...leasesIn(answer, asked));
    });
    return found;
}

function agentsSay(virsh: Conversation, guests: readonly string[], add: (found: readonly FoundAddress[]) => void): Promise<void> {
    return virsh.ask(guests.map(uuid => `domifaddr ${uuid} --source agent --full`), (answer, index) => {
        const guest = guests[index] ?? "";
        add(addressesIn(answer).map(row => ({ ...row, by: "agent", guest })));
    });
}

/** Looks for addresses of guests, and tells what is known each time something comes. `agents`: UUIDs of guests to ask by their agent. */
export function searchAddresses(machine: Machine, agents: readonly string[], tell: (search: AddressSearch) => void): { close(): void } {
    let search: AddressSearch = { addresses: [], done: false, unread: [] };
    let closed = false;
    const update = (part: Partial<AddressSearch>) => {
        search = { ...search, ...part };
        if (!closed)
            tell(search);
    };
    const add = (found: readonly FoundAddress[]) => { if (found.length > 0) update({ addresses: [...search.addresses, ...found] }); };
    const miss = (says: Message) => (error: unknown) => {
        if (!(error instanceof CommandError && error.problem === "cancelled"))
            update({ unread: [...search.unread, says] });
    };
    const virsh = openVirsh(machine, () => undefined);
    const neighbours = machine.run(["ip", "-j", "neigh", "show"]).then(answer => add(neighboursIn(answer)))
            .catch(miss(msg("The neighbour table of this host could not be read.")));
    const asked = leases(virsh).then(add).catch(miss(msg("The DHCP leases of libvirt's networks could not be read.")))
            .then(() => agents.length === 0 ? undefined : agentsSay(virsh, agents, add))
            .catch(miss(msg("The guest agents could not be asked.")));
    void Promise.all([neighbours, asked]).then(() => {
        virsh.close();
        update({ done: true });
    });
    return {
        close() {
            closed = true;
            virsh.close();
        },
    };
}
