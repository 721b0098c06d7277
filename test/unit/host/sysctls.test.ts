// SPDX-License-Identifier: LGPL-2.1-or-later
import { sysctlsIn } from "../../../src/host/sysctls.ts";

test("settings by key, whatever a link is called", () => {
    const output = "net/ipv4/conf/all/rp_filter:0\nnet/ipv4/conf/eth0.100/rp_filter:2\nnet/ipv6/conf/a b#\"/accept_ra:1\nsh: nonsense\n";
    expect([...sysctlsIn(output)]).toEqual([
        ["net/ipv4/conf/all/rp_filter", "0"], ["net/ipv4/conf/eth0.100/rp_filter", "2"], ["net/ipv6/conf/a b#\"/accept_ra", "1"],
    ]);
});
