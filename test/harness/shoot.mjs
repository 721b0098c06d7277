// SPDX-License-Identifier: LGPL-2.1-or-later
// Takes pictures of the harness: node test/harness/shoot.mjs NAME=ADDRESS… Options in ADDRESS: `w=414`, `dark`, `lang=he`, `do=…`
// (a script run in the page's playwright context before the picture), all separated by spaces. Nothing leaves this process.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const types = { js: "text/javascript", css: "text/css", html: "text/html" };
const policy = "default-src 'self'; img-src 'self' data:";
mkdirSync("output/harness", { recursive: true });

const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const fonts = process.env.FONTS;
const axeSource = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

async function serve(route) {
    const { pathname } = new URL(route.request().url());
    const language = /lang=(\w+)/.exec(route.request().frame().url())?.[1] ?? "en";
    const file = pathname.endsWith("/kvm-tap/po.js") ? `tmp/harness/po.${language}.js`
        : pathname.endsWith("cockpit.js") ? "test/harness/cockpit.js"
        : pathname.includes("/static/fonts/") && fonts ? join(fonts, pathname.split("/static/fonts/")[1])
        : join("tmp/harness", pathname.replace("/cockpit/kvm-tap/", ""));
    if (!existsSync(file))
        return route.fulfill({ status: pathname.endsWith("po.js") ? 200 : 404, contentType: "text/javascript", body: "" });
    return route.fulfill({ body: readFileSync(file), contentType: types[file.split(".").at(-1)] ?? "application/octet-stream", headers: { "Content-Security-Policy": policy } });
}

for (const argument of process.argv.slice(2)) {
    const [name, rest] = [argument.slice(0, argument.indexOf("=")), argument.slice(argument.indexOf("=") + 1)];
    const [address, ...flags] = rest.split(" ");
    const flag = key => flags.find(item => item.startsWith(`${key}=`))?.slice(key.length + 1);
    const width = Number(flag("w") ?? 1280);
    const page = await browser.newPage({ viewport: { width, height: Number(flag("h") ?? 900) }, colorScheme: flags.includes("dark") ? "dark" : "light" });
    page.on("console", message => { if (["error", "warning"].includes(message.type())) console.log(`${name}: ${message.text()}`); });
    page.on("pageerror", error => console.log(`${name}: ${error.stack}`));
    await page.route("**/*", serve);
    await page.goto(`http://kvm.invalid/cockpit/kvm-tap/index.html?lang=${flag("lang") ?? "en"}${flags.includes("limited") ? "&limited" : ""}&state=${flag("state") ?? ""}#${address}`);
    await page.waitForTimeout(400);
    for (const click of flags.filter(item => item.startsWith("click=")))
        await page.locator(click.slice(6).replaceAll("_", " ")).first().click();
    await page.waitForTimeout(300);
    await page.screenshot({ path: `output/harness/${name}.png`, fullPage: !flags.includes("view") });
    await page.addScriptTag({ content: axeSource }).catch(() => page.evaluate(axeSource));
    const found = await page.evaluate(() => globalThis.axe.run());
    for (const violation of found.violations)
        console.log(`${name}: axe ${violation.id}: ${violation.nodes.length}× ${violation.nodes[0]?.html.slice(0, 160)} — ${violation.nodes[0]?.failureSummary?.slice(0, 200)}`);
    await page.close();
}
await browser.close();
