/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest that nobody may reach, on all ways through the page: what it says, what a change and an import make of it.
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { TextEncoder } from "node:util";
import { planImport } from "../../../src/actions/map-address.ts";
import { natFile, readNatFile } from "../../../src/model/nat-file.ts";
import { exportCsv, exportJson, importText } from "../../../src/model/nat-transfer.ts";
import { readState, type Mapping, type NatState } from "../../../src/model/nat.ts";
import type { Plan } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import { armed } from "../armed.ts";
import { bareMachine, stubCockpit } from "./cockpit-stub.ts";

stubCockpit();
Object.assign(globalThis, { TextEncoder });

const { MapDialog } = await import("../../../src/pages/nat/map-dialog.tsx");
const { NatDetail } = await import("../../../src/pages/nat/detail.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { ExecuteContext } = await import("../../../src/ui/executor.ts");
const { SnapshotContext } = await import("../../../src/ui/snapshot-context.ts");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

afterEach(cleanup);

const read = <T,>(value: T) => ({ state: "read", value } as const);
const charon: Mapping = {
    public: { family: 4, address: "203.0.113.10", length: 32 }, guest: { family: 4, address: "10.0.0.2", length: 32 },
    description: "old words", enabled: true, claimed: true, log: false, limits: { protocols: [], ports: [] },
};

/** Only the file is there: the table was lost, so that the state is read from it. */
function host(state: NatState): Snapshot {
    return {
        ...NOTHING_READ, needs: read(NOTHING_NEEDED), guests: read([]), units: read(new Map()), addresses: read(new Map()),
        natTable: read(null),
        links: read([{ index: 2, name: "eth0", mtu: 1500, up: true, carrier: true }]),
        routes: read([{ family: "inet", destination: "default", type: "unicast", table: "main", device: "eth0", gateway: "192.0.2.1" }]),
        files: read(new Map([["/etc/kvm-tap/nat.nft", { path: "/etc/kvm-tap/nat.nft", content: natFile(state) }]])),
    };
}

/** The mappings that a plan writes down. */
function written(plan: Plan): readonly Mapping[] {
    return readState(readNatFile((armed(plan).save.mappings ?? []).join("\n")).elements).state.mappings;
}

describe.each([true, false])("enabled: %s", enabled => {
    const state: NatState = { uplinks: ["eth0"], mappings: [{ ...charon, enabled }], devices: [] };
    const show = (content: React.ReactNode, ran: Plan[] = []) => render(
        <AccessContext value="granted">
            <ExecuteContext value={plan => { ran.push(plan); return Promise.resolve({ state: "done", holds: true }); }}>
                <SnapshotContext value={host(state)}><Toasts>{content}</Toasts></SnapshotContext>
            </ExecuteContext>
        </AccessContext>);

    test("the detail says so", () => {
        show(<NatDetail rowKey="203.0.113.10" machine={bareMachine} around={undefined} />);
        expect(screen.getByText("Only let in").nextSibling?.textContent).toMatch(/^nothing/);
    });

    test("another description changes nothing else", async () => {
        const ran: Plan[] = [];
        show(<MapDialog old={{ ...charon, enabled }} machine={bareMachine} onClose={() => undefined} />, ran);
        const description = screen.getByLabelText(/^Description/);
        await userEvent.clear(description);
        await userEvent.click(description);
        await userEvent.paste("new words");
        await userEvent.click(screen.getByRole("button", { name: "Change" }));
        expect(ran.flatMap(written)).toEqual([{ ...charon, enabled, description: "new words" }]);
    });

    test.each([exportCsv, exportJson])("exported and imported it is as it was", write => {
        const planned = planImport(host({ ...state, mappings: [] }), importText(write(state)), true);
        expect("plan" in planned ? written(planned.plan) : planned.problems).toEqual([{ ...charon, enabled }]);
    });
});
