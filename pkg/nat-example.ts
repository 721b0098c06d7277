// SPDX-License-Identifier: LGPL-2.1-or-later
// Prints the example of /etc/kvm-tap/nat.nft: one mapping, to start from without a browser. Made by what the page writes files with, so
// that it never ages.
import { parsePrefix } from "../src/model/nat-address.ts";
import { natFile } from "../src/model/nat-file.ts";

const [outside, inside] = ["203.0.113.10", "10.0.0.2"].map(parsePrefix);
if (!outside || !inside)
    throw new Error("not an address");
process.stdout.write(natFile({
    uplinks: ["eth0"],
    devices: [{ name: "charon_pvnet1", guarded: true, shared: false }],
    mappings: [{ public: outside, guest: inside, description: "charon", enabled: true, claimed: true, log: false }],
}));
