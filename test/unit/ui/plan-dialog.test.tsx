/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
import { jest } from "@jest/globals";
import { cleanup, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { Execute, Executed } from "../../../src/model/executed.ts";
import { msg } from "../../../src/model/message.ts";
import type { Plan, Planned } from "../../../src/model/plan.ts";
import { stubCockpit } from "../pages/cockpit-stub.ts";

stubCockpit();
const { AccessContext } = await import("../../../src/ui/access.tsx");
const { ExecuteContext } = await import("../../../src/ui/executor.ts");
const { PlanDialog } = await import("../../../src/ui/plan-dialog.tsx");
const { TextField } = await import("../../../src/ui/fields.tsx");
const { Toasts } = await import("../../../src/ui/toasts.tsx");

afterEach(cleanup);

const plan: Plan = {
    title: msg("Do it"), holds: () => true,
    steps: [
        { says: msg("Write the file"), does: { type: "file", path: "/etc/kvm-tap/a.tap", content: "new\n" }, expects: { type: "file", path: "/etc/kvm-tap/a.tap", content: "old\n" } },
        { says: msg("Start it"), does: { type: "command", argv: ["systemctl", "start", "a b"] } },
    ],
};

interface Shown { planned?: Planned; result?: Executed; access?: "granted" | "missing"; confirm?: string; field?: boolean }

function show({ planned = { plan }, result = { state: "done", holds: true }, access = "granted", confirm, field = false }: Shown) {
    const ran: Plan[] = [];
    const closed: true[] = [];
    const execute: Execute = (wish, progress) => {
        ran.push(wish);
        progress(0, "done");
        progress(1, result.state === "done" ? "done" : "failed");
        return Promise.resolve(result);
    };
    render(
        <AccessContext value={access}>
            <ExecuteContext value={execute}>
                <Toasts>
                    <PlanDialog title="Title" action="Go" done="It is done" planned={planned} onClose={() => closed.push(true)} confirm={confirm}>
                        {field && <TextField label="Name" field="name" value="kept" onChange={() => undefined} planned={planned} />}
                    </PlanDialog>
                </Toasts>
            </ExecuteContext>
        </AccessContext>,
    );
    return { ran, closed };
}

const go = (name = "Go") => screen.getByRole<HTMLButtonElement>("button", { name });

test("each step opens to the exact command or to the difference of the file", () => {
    show({});
    const steps = within(screen.getByRole("list", { name: "What will be done" })).getAllByRole("listitem");
    expect(steps).toHaveLength(2);
    expect(steps[0]?.textContent).toContain("removed: old");
    expect(steps[0]?.textContent).toContain("added: new");
    expect(steps[1]?.textContent).toContain("systemctl start 'a b'");
});

test("runs what was shown, closes, and offers to take it back", async () => {
    const undo: Plan = { ...plan, title: msg("Undo it") };
    const { ran, closed } = show({ result: { state: "done", holds: true, undo } });
    await userEvent.click(go());
    await waitFor(() => expect(closed).toHaveLength(1));
    expect(ran).toEqual([plan]);
    expect(screen.getByText("It is done")).toBeTruthy();
    // The dialog is not unmounted here, so what lies behind it is hidden.
    await userEvent.click(screen.getByRole("button", { name: "Undo", hidden: true }));
    expect(ran[1]).toBe(undo);
});

test("a failing step stays in the dialog, with the tool's own words and the input", async () => {
    const { closed } = show({
        field: true, result: { state: "failed", step: 1, says: msg("systemctl failed."), words: "Unit a.service not found.", left: [] },
    });
    await userEvent.click(go());
    expect(await screen.findByText("systemctl failed.")).toBeTruthy();
    expect(screen.getByText("Unit a.service not found.")).toBeTruthy();
    expect(screen.getByText(/the host is as it was/)).toBeTruthy();
    expect(screen.getByRole<HTMLInputElement>("textbox", { name: "Name" }).value).toBe("kept");
    expect(go("Try again").disabled).toBe(false);
    expect(closed).toHaveLength(0);
});

test("what could not be undone is told instead of \"as it was\"", async () => {
    show({ result: { state: "failed", step: 1, says: msg("It failed."), words: "", left: [msg("a.tap could not be put back")] } });
    await userEvent.click(go());
    expect(await screen.findByText("a.tap could not be put back")).toBeTruthy();
    expect(screen.queryByText(/the host is as it was/)).toBeNull();
});

test("a host that does not read as promised is said, and the dialog stays", async () => {
    const { closed } = show({ result: { state: "done", holds: false } });
    await userEvent.click(go());
    expect(await screen.findByText(/does not read as promised/)).toBeTruthy();
    expect(closed).toHaveLength(0);
});

test("a host that could not be read again is said to be unknown, not to differ; the dialog can be closed", async () => {
    const { closed } = show({ result: { state: "done", holds: false, unknown: { says: msg("libvirt does not answer."), words: "timeout" } } });
    await userEvent.click(go());
    expect(await screen.findByText(/whether the host is as promised is not known/)).toBeTruthy();
    expect(screen.getByText("libvirt does not answer.")).toBeTruthy();
    expect(screen.getByText("timeout")).toBeTruthy();
    expect(screen.queryByText(/does not read as promised/)).toBeNull();
    await userEvent.click(screen.getAllByRole("button", { name: "Close" })[0] ?? document.body);
    expect(closed).toHaveLength(1);
});

test("each of what could not be undone is told, also where the sentence is the same", async () => {
    const error = jest.spyOn(console, "error").mockImplementation(() => undefined);
    const left = ["/a", "/b"].map(path => msg("$0 could not be put back", path));
    show({ result: { state: "failed", step: 1, says: msg("It failed."), words: "", left } });
    await userEvent.click(go());
    expect(await screen.findByText("/a could not be put back")).toBeTruthy();
    expect(screen.getByText("/b could not be put back")).toBeTruthy();
    expect(error).not.toHaveBeenCalled();
    error.mockRestore();
});

test("problems: of a field under the field, others in the dialog; nothing runs", async () => {
    const { ran } = show({ field: true, planned: { problems: [{ field: "name", says: msg("The name is taken.") }, { says: msg("Nothing works.") }] } });
    expect(screen.getByText("The name is taken.")).toBeTruthy();
    expect(screen.getByText("Nothing works.")).toBeTruthy();
    await userEvent.click(go());
    expect(ran).toEqual([]);
});

test("while the plan runs, its own result is no problem of the form; afterwards problems are told again", async () => {
    let end: (result: Executed) => void = () => undefined;
    const execute: Execute = () => new Promise(resolve => { end = resolve; });
    const dialog = (planned: Planned) => (
        <AccessContext value="granted">
            <ExecuteContext value={execute}><Toasts>
                <PlanDialog title="Title" action="Go" done="It is done" planned={planned} onClose={() => undefined}>
                    <TextField label="Name" field="name" value="mine" onChange={() => undefined} planned={planned} />
                </PlanDialog>
            </Toasts></ExecuteContext>
        </AccessContext>
    );
    const { rerender } = render(dialog({ plan }));
    await userEvent.click(go());
    rerender(dialog({ problems: [{ field: "name", says: msg("The name is taken.") }, { says: msg("Nothing works.") }] }));
    expect(screen.queryByText("The name is taken.")).toBeNull();
    expect(screen.queryByText("Nothing works.")).toBeNull();
    end({ state: "failed", step: 1, says: msg("It failed."), words: "", left: [] });
    expect(await screen.findByText("The name is taken.")).toBeTruthy();
    expect(screen.getByText("Nothing works.")).toBeTruthy();
});

test("without administrative access the button stays and does nothing", async () => {
    const { ran } = show({ access: "missing" });
    expect(go().getAttribute("aria-disabled")).toBe("true");
    await userEvent.click(go());
    expect(ran).toEqual([]);
});

test("what has to be confirmed runs only then", async () => {
    const { ran } = show({ confirm: "I know" });
    expect(go().disabled).toBe(true);
    await userEvent.click(screen.getByRole("checkbox", { name: "I know" }));
    await userEvent.click(go());
    await waitFor(() => expect(ran).toHaveLength(1));
});
