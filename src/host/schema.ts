// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt's own XML parser (libxml2) and its schema say of one `<interface>`, where xmllint is installed.
//
// Not by virt-xml-validate, which is xmllint over a whole <domain>: of anything wrong inside it libxml2 only says "Extra element devices
// in interleave". The schema's part for an interface, by itself, lets it name the element. Nothing is written for that: the
// few lines that make the part a schema come from the (constant) script, the XML on standard input.
import { scan } from "../model/xml.ts";
import type { Machine } from "./run.ts";

export interface SchemaFinding {
    /** Of the text that was checked, from 1. */
    line: number;
    /** libxml2's own. */
    words: string;
    /** Not well-formed: libvirt cannot read it. Otherwise its schema does not know it: libvirt drops or refuses it. */
    kind: "syntax" | "schema";
}

const CHECK = `exec xmllint --noout --nonet --relaxng /dev/fd/3 - 3<<'SCHEMA'
<grammar xmlns="http://relaxng.org/ns/structure/1.0">
  <include href="file:///usr/share/libvirt/schemas/domaincommon.rng"/>
  <start><ref name="interface"/></start>
</grammar>
SCHEMA`;

/** xmllint(1), "ERROR RETURN CODES": 1 and 4 for what cannot be parsed, 3 for what is not valid. 5: the schema itself cannot be read. */
const FOUND = [1, 3, 4];

/** What is wrong with the text; undefined where that cannot be found out: no xmllint, or no schema. */
export async function schemaFindings(machine: Machine, xml: string): Promise<readonly SchemaFinding[] | undefined> {
    try {
        return findingsIn(await machine.run(["sh", "-c", CHECK], { input: xml, accept: FOUND, mixed: true }), xml);
    } catch {
        return undefined;
    }
}

/**
 * What xmllint said of `xml`: `-:4: parser error : …` with an excerpt below, `-:1: element interface: Relax-NG validity error : …`, or
 * without any line `Relax-NG validity error : Extra element driver in interleave`.
 */
export function findingsIn(said: string, xml: string): SchemaFinding[] {
    const all = [...said.matchAll(/^(?:-:(\d+): )?(?:element \S+: )?(\S[^:\n]*) error : (.*)$/gm)].map(([, line, by = "", words = ""]) => ({
        line: line === undefined ? lineOfExtra(words, xml) : Number(line),
        words,
        kind: by === "parser" ? "syntax" as const : "schema" as const,
    }));
    const syntax = all.filter(({ kind }) => kind === "syntax");
    if (syntax.length > 0)
        return syntax.slice(0, 1); // what follows is mostly its consequence
    const telling = all.filter(({ words }) => !/^Invalid sequence in interleave$|failed to validate content$/.test(words));
    return telling.length > 0 ? telling : all.slice(0, 1);
}

/** Of two elements of a name the last one is too many. */
function lineOfExtra(words: string, xml: string): number {
    const extra = /^Extra element (\S+) in interleave$/.exec(words)?.[1];
    let at = 0;
    scan(xml, ({ path, start }) => {
        if (path.length === 2 && path[1] === extra)
            at = start;
    });
    return xml.slice(0, at).split("\n").length;
}
