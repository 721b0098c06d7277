// SPDX-License-Identifier: LGPL-2.1-or-later
// What kvm-tap-nat is told by a plan of NAT.
import type { Plan, Step } from "../../src/model/plan.ts";

export interface Told {
    nft: string[];
    save: { mappings: string[] | null; sysctl: string[] | null };
    end: { public: string; guest: string }[];
    announce: string[];
}

export function told(command: Step["does"] | undefined): Told {
    expect(command).toMatchObject({ type: "command", argv: ["/usr/lib/kvm-tap/kvm-tap-nat", "arm", "15"] });
    return JSON.parse(command?.type === "command" ? command.input ?? "" : "") as Told;
}

/** Every change is armed: one step, which the host takes back unless it is confirmed. */
export function armed({ confirm, steps }: Plan): Told {
    expect(confirm).toEqual({ seconds: 15 });
    const arm = steps.at(-1);
    expect(arm?.undo).toMatchObject({ argv: ["/usr/lib/kvm-tap/kvm-tap-nat", "revert"] });
    return told(arm?.does);
}
