// SPDX-License-Identifier: LGPL-2.1-or-later
// What tools print of whom the host is connected with, and of where rules of routing lead.
import { tablesIn } from "../../../src/host/reach.ts";

test("tables that rules lead to, of both families; with a part unread, a VRF or a name, nobody knows", () => {
    const ours = '[{"priority":0,"src":"all","table":"255"},{"priority":100,"src":"all","fwmark":"0x1","table":"100"},{"priority":101,"goto":200}]';
    const six = '[{"priority":0,"src":"all","table":"255"},{"priority":32766,"src":"all","table":"254"}]';
    expect([...tablesIn([ours, six]) ?? []].filter(table => table !== "").sort()).toEqual(["100", "254", "255"]);
    expect(tablesIn([ours, undefined])).toBeUndefined();
    expect(tablesIn([ours, '[{"priority":1000,"src":"all","l3mdev":null}]'])).toBeUndefined();
    expect(tablesIn([ours, '[{"priority":5,"src":"all","table":"vpn"}]'])).toBeUndefined();
});
