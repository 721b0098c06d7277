// SPDX-License-Identifier: LGPL-2.1-or-later
// The drop-in for the distribution's nftables.service, from whatever legal spelling its unit has (man systemd.syntax). Run with directories
// of its own in the places where systemd looks.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const text = readFileSync("pkg/host/kvm-tap-generator", "utf8");
const WRAPPER = "/usr/lib/kvm-tap/kvm-tap-nft";
const AGAIN = "-+/usr/lib/kvm-tap/kvm-tap-nat restore";

let place: string;
beforeEach(() => { place = mkdtempSync(join(tmpdir(), "generator-")); });
afterEach(() => { rmSync(place, { recursive: true, force: true }); });

const UNIT = "usr/lib/systemd/system/nftables.service";

/** The lines of the drop-in, without comments and with single blanks. */
function generate(shell: string, files: Readonly<Record<string, string>>): string[] | undefined {
    for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(place, path)), { recursive: true });
        writeFileSync(join(place, path), content);
    }
    writeFileSync(join(place, "helper"), "");
    chmodSync(join(place, "helper"), 0o755);
    writeFileSync(join(place, "generator"), text.replace("[ -x $HELPER ]", `[ -x ${place}/helper ]`)
            .replace(/(?<=[ "\n])\/(?=(etc|run|usr|lib)\/(local\/lib\/|lib\/)?systemd)/g, `${place}/`));
    const { status, stderr } = spawnSync(shell, [join(place, "generator"), join(place, "out")], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    const directory = join(place, "out/nftables.service.d");
    const [name] = existsSync(directory) ? readdirSync(directory) : [];
    return name === undefined ? undefined
        : readFileSync(join(directory, name), "utf8").replace(/ +/g, " ").split("\n").filter(line => line !== "" && !line.startsWith("#"));
}

const start = (...values: readonly string[]) => ["[Service]", "ExecStart=", ...values.map(value => `ExecStart=${value}`)];

describe.each(["dash", "bash"])("%s", shell => {
    test("as Debian has it", () => {
        expect(generate(shell, { [UNIT]: `[Unit]\nDescription=nftables\n[Service]\nType=oneshot\nExecStart=/usr/sbin/nft -f /etc/nftables.conf
ExecReload=/usr/sbin/nft -f /etc/nftables.conf\nExecStop=/usr/sbin/nft flush ruleset\n\n[Install]\nWantedBy=sysinit.target\n` })).toEqual([
            ...start(`${WRAPPER} -f /etc/nftables.conf`), "ExecReload=", `ExecReload=${WRAPPER} -f /etc/nftables.conf`,
            "ExecStop=", `ExecStop=${WRAPPER} flush ruleset`,
        ]);
    });

    test("as Fedora has it", () => {
        expect(generate(shell, { [UNIT]: `[Service]\nExecStart=/sbin/nft -f /etc/sysconfig/nftables.conf
ExecReload=/sbin/nft 'flush ruleset; include "/etc/sysconfig/nftables.conf";'\nExecStop=/sbin/nft flush ruleset\n` })).toEqual([
            ...start(`${WRAPPER} -f /etc/sysconfig/nftables.conf`),
            "ExecReload=", `ExecReload=${WRAPPER} 'flush ruleset; include "/etc/sysconfig/nftables.conf";'`,
            "ExecStop=", `ExecStop=${WRAPPER} flush ruleset`,
        ]);
    });

    test.each<[string, string, readonly string[]]>([
        ["blanks around =", "ExecStart \t=  /usr/sbin/nft -f /etc/nftables.conf  \n", start(`${WRAPPER} -f /etc/nftables.conf`)],
        ["before the key", "  ExecStart=/usr/sbin/nft -f /a\n", start(`${WRAPPER} -f /a`)],
        ["a line that goes on", "ExecStart=/usr/sbin/nft -f \\\n    /etc/nftables.conf\nExecStopPost=/bin/true\n",
            start(`${WRAPPER} -f /etc/nftables.conf`)],
        ["that goes on after comments", "ExecStart=/usr/sbin/nft \\\n# why\n  ; and\n -f /a\n", start(`${WRAPPER} -f /a`)],
        ["that ends with the file", "ExecStart=/usr/sbin/nft -f /a \\", start(`${WRAPPER} -f /a`)],
        ["a comment that looks as if it went on", "# old: \\\nExecStart=/usr/sbin/nft -f /a\n", start(`${WRAPPER} -f /a`)],
        ["lines that are commented out", "#ExecStart=/usr/sbin/nft -f /a\n; ExecStart=/bin/true\nExecStart=/usr/sbin/nft -f /b\n", start(`${WRAPPER} -f /b`)],
        ["CRLF", "ExecStart=/usr/sbin/nft \\\r\n -f /a\r\n", start(`${WRAPPER} -f /a`)],
        ["prefixes", "ExecStart=-/usr/sbin/nft -f /a\nExecStart=:/usr/sbin/nft -f /b\nExecStart=-+/usr/sbin/nft -f /c\nExecStart=!!/usr/sbin/nft -f /d\n",
            start(`-${WRAPPER} -f /a`, `:${WRAPPER} -f /b`, `-+${WRAPPER} -f /c`, `!!${WRAPPER} -f /d`)],
        ["several, and all before an empty one gone", "ExecStart=/bin/true\nExecStart =\nExecStart=nft -f /a\nExecStart=/usr/sbin/nft -f /b\n",
            start(`${WRAPPER} -f /a`, `${WRAPPER} -f /b`)],
        ["another program's argv[0]", "ExecStart=@/usr/sbin/nft nft -f /a\n", ["[Service]", `ExecStartPost=${AGAIN}`]],
        ["another program", "ExecStart=/usr/sbin/nft -f /a\nExecStart=/usr/local/sbin/firewall\n", ["[Service]", `ExecStartPost=${AGAIN}`]],
        ["two commands in one line", "ExecStart=/usr/sbin/nft -f /a ; /usr/sbin/nft -f /b\n", ["[Service]", `ExecStartPost=${AGAIN}`]],
        ["what nft reads from elsewhere", "ExecStart=/usr/sbin/nft -f -\n", ["[Service]", `ExecStartPost=${AGAIN}`]],
        ["specifiers, variables and patterns", "ExecStart=/usr/sbin/nft -f /etc/%H.conf\n", ["[Service]", `ExecStartPost=${AGAIN}`]],
        ["a reload of another kind", "ExecReload=/usr/local/sbin/firewall\n", ["[Service]", `ExecReload=${AGAIN}`]],
        ["a stop of another kind", "ExecStop=/usr/local/sbin/firewall\n", ["[Service]", `ExecStopPost=${AGAIN}`]],
        ["nothing", "Type=oneshot\n", ["[Service]"]],
    ])("%s", (_, service, expected) => {
        expect(generate(shell, { [UNIT]: `[Service]\n${service}` })).toEqual(expected);
    });

    test("only what is in [Service]", () => {
        expect(generate(shell, { [UNIT]: "[X-Old]\nExecStart=/bin/true\n [Service] \nExecStart=/usr/sbin/nft -f /a\n[Install]\nExecStart=/bin/true\n" }))
                .toEqual(start(`${WRAPPER} -f /a`));
    });

    test("drop-ins in the order of their names, from wherever; a name counts once; ours comes last", () => {
        const dropIn = (place: string, name: string) => `${place}/systemd/system/nftables.service.d/${name}.conf`;
        expect(generate(shell, {
            [UNIT]: "[Service]\nExecStart=/usr/sbin/nft -f /a\n",
            [dropIn("usr/lib", "99-z")]: "[Service]\nExecStart=/usr/sbin/nft -f /last\n",
            [dropIn("etc", "10-b")]: "[Service]\nExecStart=\nExecStart=/usr/sbin/nft -f /b\n",
            [dropIn("run", "10-b")]: "[Service]\nExecStart=/bin/overridden\n",
            "etc/systemd/system/service.d/20-all.conf": "[Service]\nExecStart=/usr/sbin/nft -f /all\n",
        })).toEqual(start(`${WRAPPER} -f /b`, `${WRAPPER} -f /all`, `${WRAPPER} -f /last`));
        expect(["zz-local.conf", "99-z.conf"].every(name => name < (readdirSync(join(place, "out/nftables.service.d"))[0] ?? ""))).toBe(true);
    });

    test("no unit, or one that is masked: nothing", () => {
        expect(generate(shell, {})).toBeUndefined();
        expect(generate(shell, { "etc/systemd/system/nftables.service": "", [UNIT]: "[Service]\nExecStart=/usr/sbin/nft -f /a\n" })).toBeUndefined();
    });
});
