/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
// Armed changes: whose answer confirms, and what Undo takes back.
import { act, cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { Executed } from "../../../src/model/executed.ts";
import type { Plan } from "../../../src/model/plan.ts";
import type { Machine } from "../../../src/host/run.ts";
import { bareMachine, stubCockpit } from "./cockpit-stub.ts";

stubCockpit();
Object.assign(cockpit, { transport: { host: "localhost" } });
const { ArmedChanges, isWelcome } = await import("../../../src/pages/nat/change-status.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { useExecute } = await import("../../../src/ui/executor.ts");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

afterEach(cleanup);

test.each<[string, unknown, boolean]>([
    ["a session that is known", "\n{\"command\":\"init\",\"version\":1,\"host\":\"localhost\"}", true],
    ["any Cockpit without a session of ours", "\n{\"command\":\"init\",\"version\":1,\"problem\":\"no-session\"}", false],
    ["another message", "\n{\"command\":\"ping\"}", false], ["no message of Cockpit", "hello", false], ["a channel's", "1:2!1\n{\"command\":\"init\"}", false],
    ["half a message", "\n{\"command\":\"in", false], ["bytes", new ArrayBuffer(3), false], ["nothing", "\nnull", false],
])("%s", (_what, message, accepted) => {
    expect(isWelcome(message)).toBe(accepted);
});

const plan = (name: string): Plan => ({ title: { id: name }, steps: [], confirm: { seconds: 15 }, holds: () => true });

/** A host on which an armed change is waiting as long as it has not been confirmed. */
function waiting(): Machine & { arm(): void } {
    let deadline: string | null = null, told: () => void = () => undefined;
    return {
        ...bareMachine,
        run: argv => { if (argv[1] === "confirm") { deadline = null; told(); } return Promise.resolve(""); },
        read: path => Promise.resolve(path.endsWith("nat-deadline") ? deadline : path === "/proc/uptime" ? "100.0 1" : null),
        watchDirectory: (_path, changed) => { told = () => changed(""); return { close: () => undefined }; },
        arm: () => { deadline = "115"; told(); },
    };
}

test("Undo takes back the change that was kept, also where that was kept before its plan had ended", async () => {
    const machine = waiting();
    const ran: string[] = [];
    let end: (result: Executed) => void = () => undefined;
    const execute = (each: Plan) => {
        ran.push(each.title.id);
        return new Promise<Executed>(resolve => { end = resolve; });
    };
    function Buttons() {
        const run = useExecute();
        return ["first", "second"].map(name => <button key={name} onClick={() => void run(plan(name), () => undefined)}>{name}</button>);
    }
    await act(async () => {
        render(<AccessContext value="granted"><Toasts><ArmedChanges machine={machine} execute={execute}>
            {notice => <>{notice}<Buttons /></>}
        </ArmedChanges></Toasts></AccessContext>);
        await Promise.resolve();
    });
    for (const name of ["first", "second"]) {
        await userEvent.click(screen.getByText(name));
        await act(async () => { machine.arm(); await Promise.resolve(); });
        await userEvent.click(await screen.findByText("Keep it"));
        await act(async () => { end({ state: "done", holds: true, undo: plan(`back from ${name}`) }); await Promise.resolve(); });
    }
    await userEvent.click(await screen.findByText("Undo"));
    expect(ran).toEqual(["first", "second", "back from second"]);
});
