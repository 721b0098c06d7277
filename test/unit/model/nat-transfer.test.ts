// SPDX-License-Identifier: LGPL-2.1-or-later
import fc from "fast-check";
import { JsonError, parseJson, type JsonValue } from "../../../src/model/json-lines.ts";
import { inEnglish } from "../../../src/model/message.ts";
import { formatPrefix } from "../../../src/model/nat-address.ts";
import { readConnections, ofMapping } from "../../../src/model/nat-connections.ts";
import { WHOLE_PROTOCOLS, type Limits } from "../../../src/model/nat.ts";
import { formatLimits, parseLimits } from "../../../src/model/nat-limits.ts";
import { exportCsv, exportJson, importText } from "../../../src/model/nat-transfer.ts";
import { states } from "./arbitrary-nat.ts";

/** Protocols in the order of the table. */
function canonical({ protocols, ports }: Limits): Limits {
    return { protocols: WHOLE_PROTOCOLS.filter(protocol => protocols.includes(protocol)), ports };
}

/** What an import must give back. */
function essence(state: Parameters<typeof exportCsv>[0]) {
    return state.mappings.map(mapping => ({
        public: formatPrefix(mapping.public), guest: formatPrefix(mapping.guest), description: mapping.description.trim(),
        enabled: mapping.enabled, log: mapping.log, ...mapping.limits && { limits: mapping.limits },
    }));
}

test.each([["CSV", exportCsv], ["JSON", exportJson]] as const)("%s: what is exported is imported again", (_name, write) => {
    fc.assert(fc.property(states, state => {
        const { mappings, errors } = importText(write(state));
        expect(errors).toEqual([]);
        expect(mappings.map(({ limits, ...mapping }) => ({ ...mapping, ...limits && { limits: canonical(limits) } })))
                .toEqual(essence(state).map((mapping, index) => ({ ...mapping, line: mappings[index]?.line })));
    }));
});

test.each([
    ["semicolons, as spreadsheets write them", "\ufeffPublic;Guest\r\n203.0.113.10;10.0.0.2\r\n", [2]],
    ["a line end inside of quotes, then the right line", "public,guest,description\n203.0.113.10,10.0.0.2,\"a\"\n\n203.0.113.11,10.0.0.3,b\n", [2, 4]],
    ["JSON with a list alone", "[\n  {\"public\": \"203.0.113.10\", \"guest\": \"10.0.0.2\"},\n  {\"public\": \"203.0.113.11\", \"guest\": \"10.0.0.3\"}\n]", [2, 3]],
])("%s", (_what, text, lines) => {
    const { mappings, errors } = importText(text);
    expect(errors).toEqual([]);
    expect(mappings.map(({ line }) => line)).toEqual(lines);
});

test.each([
    ["public,gast\n", 1, "The first line must name the columns, at least \"public\" and \"guest\"."],
    ["public,guest\n1,2,3\n", 2, "This line has 3 fields, the first has 2."],
    ["public,guest\na,b\n\"1,2\n", 3, "A double quote is opened here and never closed."],
    ["[\n{]}\n", 2, "This is not valid JSON."],
    ["{}", 1, "The file must be a list of mappings, or an object with \"mappings\"."],
    ["[\n1]", 2, "A mapping is an object with \"public\" and \"guest\"."],
])("%j has its error in the right line", (text, line, says) => {
    expect(importText(text).errors.map(error => [error.line, inEnglish(error.says)])).toContainEqual([line, says]);
});

const known = "A mapping has public, guest, description, enabled, limits, log.";
const first = "\"public\":\"203.0.113.10\",\"guest\":\"10.0.0.2\"";
const address = "203.0.113.10,10.0.0.2";

// Everything here was once taken for a mapping without limits, enabled, at the least.
test.each<[string, number, string]>([
    // CSV
    [`public,guest,limit\n${address},tcp/22\n`, 1, `"limit" is not known here. ${known}`],
    [`public,guest,\n${address},tcp/22\n`, 1, `"" is not known here. ${known}`],
    [`public,guest,limits,Limits\n${address},,tcp/22\n`, 1, "\"limits\" stands here twice."],
    [`\n\npublic;guest;ports\n${address.replace(",", ";")};22\n`, 3, `"ports" is not known here. ${known}`],
    [`public,guest,limits\n${address}\n`, 2, "This line has 2 fields, the first has 3."],
    [`public,guest,limits\n${address},tcp/22,\n`, 2, "This line has 4 fields, the first has 3."],
    ["public,guest\n\n203.0.113.10,\n", 3, "\"guest\" is missing."],
    [`public,guest,enabled\n${address},\"\"no\n`, 2, "A double quote is out of place: it stands before and after a field, and is doubled inside."],
    [`public,guest,enabled\n${address},n\"o\n`, 2, "A double quote is out of place: it stands before and after a field, and is doubled inside."],
    [`public,guest,limits\n${address},\",\"\n`, 2, "\",\" is not a protocol or port. Write icmp, tcp/22 or udp/5000-5010, separated by commas."],
    [`public,guest,limits\r${address},tcp/22\r203.0.113.11,10.0.0.3,ssh\r`, 3, "\"ssh\" is not a protocol or port. Write icmp, tcp/22 or udp/5000-5010, separated by commas."],
    [`public,guest\n${address.replace(".10,", ".1\r0,")}\n`, 2, "This line has 1 fields, the first has 2."],
    [`public,guest,description\n${address},a\n203.0.113.11,10.0.0.3,b\0\n`, 3, "This line holds bytes that are no text. Save the file as UTF-8."],
    ["p\0u\0b\0l\0i\0c\0", 1, "This line holds bytes that are no text. Save the file as UTF-8."],
    ["", 1, "The first line must name the columns, at least \"public\" and \"guest\"."],
    // JSON
    [`{"mappings":[{${first},"limits":["tcp/22"]}]}`, 1, "\"limits\" must be text between double quotes."],
    [`{"mappings":[\n{${first},\n"limits":{"tcp":22}}]}`, 3, "\"limits\" must be text between double quotes."],
    [`[{${first},"limits":22}]`, 1, "\"limits\" must be text between double quotes."],
    [`[{${first},"limits":null}]`, 1, "\"limits\" must be text between double quotes."],
    [`[\n{${first},\n\n"Limits":"tcp/22"}]`, 4, `"Limits" is not known here. ${known}`],
    [`[{${first},"limits":"tcp/22",\n"limits":""}]`, 2, "\"limits\" stands here twice."],
    [`[{${first},"enabled":null}]`, 1, "\"enabled\" must be true or false."],
    [`[{${first},"enabled":{}}]`, 1, "\"enabled\" must be true or false."],
    [`[{${first},"enabled":0}]`, 1, "\"enabled\" must be true or false."],
    [`[{${first},"enabled":""}]`, 1, "\"\" is neither yes nor no."],
    [`[{${first},"log":[true]}]`, 1, "\"log\" must be true or false."],
    [`[{${first},"description":7}]`, 1, "\"description\" must be text between double quotes."],
    ["[\n{\"guest\":\"10.0.0.2\"}]", 2, "\"public\" is missing."],
    [`[{${first}},\n[{${first}}]]`, 2, "A mapping is an object with \"public\" and \"guest\"."],
    [`[{${first}},\nnull]`, 2, "A mapping is an object with \"public\" and \"guest\"."],
    [`{"mappings":[{${first}}],\n"limits":"tcp/22"}`, 2, "\"limits\" is not known here. The file has \"mappings\" and nothing else."],
    [`{"mappings":[{${first}}],\n"mappings":[]}`, 2, "\"mappings\" stands here twice."],
    [`{\n"mappings":{"a":{${first}}}}`, 1, "The file must be a list of mappings, or an object with \"mappings\"."],
    [`[{${first}}]\n[]`, 2, "This is not valid JSON."],
    [`[{${first}},]`, 1, "This is not valid JSON."],
    [`[{${first},"log":01}]`, 1, "This is not valid JSON."],
    ["[".repeat(100_000), 1, "This is not valid JSON."],
])("%j is refused in its line", (text, line, says) => {
    const { mappings, errors } = importText(text);
    expect(errors.map(error => [error.line, inEnglish(error.says)])).toEqual([[line, says]]);
    expect(mappings.filter(mapping => mapping.line === line)).toEqual([]);
});

test.each(["public,guest\n", "\ufeffpublic,guest", "[]", "\ufeff{\"mappings\": []}"])("%j holds no mapping, which is no error", text =>
    expect(importText(text)).toEqual({ mappings: [], errors: [] }));

test.each([
    ["JSON", JSON.stringify([{ public: "x", guest: "y", description: "z\\\"".repeat(3_500_000) }])],
    ["CSV", `public,guest,description\nx,y,"${"z\"\"".repeat(3_500_000)}"\n`],
])("%s: a text of ten million letters is read", (_name, text) => expect(importText(text).errors).toEqual([]));

test("JSON is read as JSON.parse reads it", () => {
    const plain = (value: JsonValue): unknown => value.is === "plain" ? value.value : value.is === "list" ? value.items.map(plain)
        : Object.fromEntries(value.members.map(member => [member.name, plain(member.value)]));
    fc.assert(fc.property(fc.jsonValue(), fc.nat(4), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(plain(parseJson(text))).toEqual(JSON.parse(text));
    }));
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."[]{}:,\"\\ \n01-.eEtrufalsn") }), text => {
        let parses = true;
        try { JSON.parse(text); } catch { parses = false; }
        if (parses)
            expect(plain(parseJson(text))).toEqual(JSON.parse(text));
        else
            expect(() => parseJson(text)).toThrow(JsonError);
    }));
});

test("any text is read without throwing", () => {
    fc.assert(fc.property(fc.string(), text => { expect(importText(text)).toHaveProperty("errors"); }));
});

test.each([
    ["icmp, TCP/22 , udp/5000-5010", "icmp, tcp/22, udp/5000-5010"],
    ["tcp/22, tcp/23", "tcp/22-23"],
    ["", ""], ["nothing", "nothing"], [" None", "nothing"], ["tcp/22,", "tcp/22"],
])("limits %j", (text, normal) => {
    const parsed = parseLimits(text);
    expect("problem" in parsed ? parsed : formatLimits(parsed.limits)).toBe(normal);
});

test.each(["http", "tcp/0", ",", " , ,", "nothing, tcp/22", "tcp/22, none", "tcp/70000", "tcp/20-10", "icmp/8", "tcp/1/2"])("limit %s is refused", text => {
    expect(parseLimits(text)).toHaveProperty("problem");
});

test("connections of a mapping: to its public address and from its guest, not the guest's others", () => {
    const listing = [
        "tcp      6 431999 ESTABLISHED src=192.0.2.80 dst=203.0.113.10 sport=1 dport=80 src=10.0.0.2 dst=192.0.2.80 sport=80 dport=1 [ASSURED] use=1",
        "udp      17 29 src=10.0.0.2 dst=192.0.2.53 sport=1 dport=53 src=192.0.2.53 dst=203.0.113.10 sport=53 dport=1 use=1",
        "tcp      6 9 ESTABLISHED src=10.0.0.2 dst=10.0.0.3 sport=1 dport=80 src=10.0.0.3 dst=10.0.0.2 sport=80 dport=1 use=1",
        "conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.",
    ].join("\n");
    const mapping = {
        public: { family: 4, address: "203.0.113.10", length: 32 }, guest: { family: 4, address: "10.0.0.2", length: 32 },
        description: "", enabled: true, claimed: true, log: false,
    } as const;
    expect(readConnections(listing)).toHaveLength(3);
    expect(ofMapping(mapping, readConnections(listing)).map(({ destination }) => destination)).toEqual(["203.0.113.10", "192.0.2.53"]);
});
