// test/lab/host.ts
import { existsSync as existsSync3, mkdirSync as mkdirSync4, readFileSync as readFileSync5, writeFileSync as writeFileSync2 } from "node:fs";
import { dirname as dirname3, join as join6 } from "node:path";

// test/lab/exec.ts
import { spawn } from "node:child_process";
function finish(argv, input = "") {
  const [program = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: "pipe" });
    let stdout = "", stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("error", (error) => resolve({ status: null, stdout, stderr: error.message }));
    child.on("close", (status) => resolve({ status, stdout, stderr }));
    child.stdin.on("error", () => {
    });
    child.stdin.end(input);
  });
}
async function must(argv, input = "") {
  const { status, stdout, stderr } = await finish(argv, input);
  if (status !== 0)
    throw new Error(`lab: ${argv.join(" ")}: ${stderr.trim() || stdout.trim() || `exit status ${status}`}`);
  return stdout;
}
var sleep = (milliseconds) => new Promise((resolve) => {
  setTimeout(resolve, milliseconds);
});
async function until(what, ask, seconds = 10) {
  const end = Date.now() + seconds * 1e3;
  let words = "";
  for (; ; ) {
    try {
      const answer = await ask();
      if (answer !== false && answer !== null && answer !== void 0)
        return answer;
    } catch (error) {
      words = `: ${String(error)}`;
    }
    if (Date.now() > end)
      throw new Error(`lab: waited ${seconds} s for ${what}${words}`);
    await sleep(50);
  }
}

// test/lab/internet.ts
import { spawn as spawn2 } from "node:child_process";
import { closeSync, mkdirSync as mkdirSync3, openSync, readFileSync as readFileSync4, writeFileSync } from "node:fs";
import { join as join4 } from "node:path";

// test/lab/kernel.ts
import { createHash } from "node:crypto";
import { existsSync as existsSync2, mkdirSync as mkdirSync2, readFileSync as readFileSync2 } from "node:fs";
import { join as join2 } from "node:path";

// test/lab/trees.ts
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
var cache = process.env["KVM_TAP_LAB_CACHE"] ?? "/var/cache/kvm-tap-lab";
var top = (function up(directory) {
  if (existsSync(join(directory, "test/lab/tree.sh")))
    return directory;
  if (directory === "/")
    throw new Error("lab: start it inside the checkout");
  return up(dirname(directory));
})(process.cwd());

// test/lab/kernel.ts
async function kernel() {
  const script = join2(top, "test/lab/guest-kernel.sh");
  const key = createHash("sha256").update(readFileSync2(script)).update(readFileSync2(join2(top, "test/lab/guest-init.sh"))).digest("hex");
  const directory = join2(cache, `guest-${key.slice(0, 12)}`);
  if (!existsSync2(directory)) {
    mkdirSync2(cache, { recursive: true });
    process.stderr.write("lab: fetching the guests' kernel\n");
    await must(["flock", `${directory}.lock`, "sh", script, directory]);
  }
  return directory;
}

// test/lab/places.ts
import { readFileSync as readFileSync3 } from "node:fs";
import { join as join3 } from "node:path";
var directoryOf = (name) => join3("/var/tmp/kvm-tap-lab", name);
var cgroupOf = (name) => join3(unifiedCgroup(), "kvm-tap-lab", name);
var namespaceOf = (name) => `kvm-tap-lab.${name}`;
function unifiedCgroup() {
  const mount = readFileSync3("/proc/mounts", "utf8").split("\n").map((line) => line.split(" ")).find((field) => field[2] === "cgroup2");
  if (!mount?.[1])
    throw new Error("lab: needs a mounted cgroup2 file system");
  return mount[1];
}

// test/lab/internet.ts
var segments = [
  {
    uplink: "eth0",
    bridge: "br0",
    gateway: "203.0.113.254",
    gateway6: "2001:db8:0:1::fe",
    address: (host2) => `203.0.113.${host2}`,
    address6: (host2) => `2001:db8:0:1::${host2}`
  },
  {
    uplink: "eth1",
    bridge: "br1",
    gateway: "198.51.100.254",
    gateway6: "2001:db8:0:2::fe",
    address: (host2) => `198.51.100.${host2}`,
    address6: (host2) => `2001:db8:0:2::${host2}`
  }
];
var far = { address: "192.0.2.80", address6: "2001:db8:0:ff::80" };
function startInCgroup(cgroup, argv, log) {
  mkdirSync3(cgroup, { recursive: true });
  const output = openSync(log, "a");
  const child = spawn2(
    "sh",
    ["-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...argv],
    { stdio: ["ignore", output, output], detached: true }
  );
  closeSync(output);
  child.unref();
  return child.pid ?? 0;
}
var Internet = class _Internet {
  constructor(owner) {
    this.owner = owner;
  }
  owner;
  /** Hosts plugged in so far. */
  hosts = 0;
  get namespace() {
    return `kvm-tap-lab.${this.owner}.internet`;
  }
  /** The file with a line per HTTP request that arrived at port 80. */
  get requests() {
    return join4(directoryOf(this.owner), "requests");
  }
  static async start(owner, uplinks) {
    const internet = new _Internet(owner);
    await must(["ip", "netns", "add", internet.namespace]);
    const lines = ["link set dev lo up", `address add ${far.address}/32 dev lo`, `address add ${far.address6}/128 dev lo`];
    for (const { bridge, gateway, gateway6 } of segments.slice(0, uplinks)) {
      lines.push(
        `link add ${bridge} type bridge mcast_snooping 0`,
        `link set dev ${bridge} up`,
        `address add ${gateway}/24 dev ${bridge}`,
        `address add ${gateway6}/64 dev ${bridge} nodad`
      );
    }
    await must(["ip", "-n", internet.namespace, "-batch", "-"], lines.join("\n"));
    await internet.sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    mkdirSync3(join4(directoryOf(owner), "www"));
    writeFileSync(join4(directoryOf(owner), "www/index.html"), "the internet\n");
    internet.start([join4(await kernel(), "busybox"), "httpd", "-f", "-vv", "-p", "80", "-h", join4(directoryOf(owner), "www")], internet.requests);
    return internet;
  }
  /** The internet of a host that another process started. */
  static open(owner) {
    return new _Internet(owner);
  }
  /** The machine's own programs, in this namespace. */
  run(argv, input = "") {
    return must([...this.enter, ...argv], input);
  }
  sh(script) {
    return this.run(["sh", "-euc", script]);
  }
  /** Whether a command succeeds here, and what it wrote. */
  attempt(argv) {
    return finish([...this.enter, ...argv]);
  }
  /** Starts a program that goes on until the host is stopped; answers its process ID. */
  start(argv, log = "/dev/null") {
    return startInCgroup(join4(cgroupOf(this.owner), "internet"), [...this.enter, ...argv], log);
  }
  /** HTTP requests that arrived at any of the internet's own addresses, oldest first. All but `/` are answered with 404. */
  received() {
    return readFileSync4(this.requests, "utf8").split("\n").flatMap((line) => {
      const [, from, path] = /^\[?(?:::ffff:)?([0-9a-f.:]+?)\]?:\d+: ?url:(.*)$/.exec(line) ?? [];
      return from !== void 0 && path !== void 0 ? [{ from, path }] : [];
    });
  }
  get enter() {
    return ["nsenter", `--net=/run/netns/${this.namespace}`, "--"];
  }
};

// test/lab/machine.ts
import { spawn as spawn3 } from "node:child_process";
import { watch } from "node:fs";
import { access, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname as dirname2, join as join5 } from "node:path";

// src/host/run.ts
var ENVIRONMENT = ["LC_ALL=C.UTF-8", "HOME=/dev/null", "XDG_CACHE_HOME=/dev/null"];
var CommandError = class extends Error {
  constructor(argv, problem, exitStatus, words) {
    super(`${argv[0] ?? ""}: ${words || problem || `exit status ${exitStatus}`}`);
    this.argv = argv;
    this.problem = problem;
    this.exitStatus = exitStatus;
    this.words = words;
    this.name = "CommandError";
  }
  argv;
  problem;
  exitStatus;
  words;
};
var ChangedMeanwhile = class extends Error {
  constructor(path, found) {
    super(`${path} changed meanwhile`);
    this.path = path;
    this.found = found;
    this.name = "ChangedMeanwhile";
  }
  path;
  found;
};

// test/lab/machine.ts
function labMachine(leader) {
  const inTree = (path) => join5(`/proc/${leader()}/root`, path);
  return {
    run: (argv, options) => run(leader(), argv, options),
    stream: (argv, handlers, options) => stream(leader(), argv, handlers, options),
    read: (path) => readOrNull(inTree(path)),
    async replace(path, content, expected) {
      const file = inTree(path);
      const found = expected === void 0 ? void 0 : await readOrNull(file);
      if (found !== void 0 && found !== expected)
        throw new ChangedMeanwhile(path, found);
      if (content === null)
        return rm(file, { force: true });
      await writeFile(`${file}.kvm-tap-lab`, content);
      await rename(`${file}.kvm-tap-lab`, file);
    },
    watchDirectory: (path, changed) => watchDirectory(inTree(path), (file) => changed(join5(path, file)))
  };
}
function inHost(leader, argv) {
  return [
    "nsenter",
    "-t",
    String(leader),
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "--",
    "/usr/bin/env",
    "-i",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "USER=root",
    ...ENVIRONMENT,
    "setpriv",
    "--pdeathsig",
    "TERM",
    "--",
    ...argv
  ];
}
function start(leader, argv, options) {
  const [program = "", ...args] = inHost(leader, options.mixed ? ["sh", "-c", 'exec "$@" 2>&1', "sh", ...argv] : argv);
  return options.input === void 0 ? spawn3(program, args, { stdio: "pipe" }) : spawn3("sh", ["-c", 'cat | "$@"', "sh", program, ...args], { stdio: "pipe" });
}
function failure(argv, status, words, { accept = [] }) {
  if (status === 0 || status !== null && accept.includes(status))
    return void 0;
  if (status === 127 && words.startsWith("setpriv: failed to execute"))
    return new CommandError(argv, "not-found", null, "");
  return new CommandError(argv, status === null ? "terminated" : null, status, words.trim());
}
function run(leader, argv, options = {}) {
  return new Promise((resolve, reject) => {
    const output = [];
    const child = follow(leader, argv, {
      data: (chunk) => output.push(chunk),
      end: (error) => {
        if (error) reject(error);
        else resolve(output.join(""));
      }
    }, options);
    child.stdin.end(options.input ?? "");
  });
}
function stream(leader, argv, handlers, options = {}) {
  let closed = false;
  const child = follow(leader, argv, {
    data: (chunk) => {
      if (!closed) handlers.data(chunk);
    },
    end: (error) => {
      if (!closed) handlers.end(error);
    }
  }, options);
  return {
    write: (text) => {
      child.stdin.write(text);
    },
    close: () => {
      closed = true;
      child.kill();
    }
  };
}
function follow(leader, argv, handlers, options) {
  const child = start(leader, argv, options);
  let words = "";
  child.stdout.setEncoding("utf8").on("data", handlers.data);
  child.stderr.setEncoding("utf8").on("data", (chunk) => {
    words += chunk;
  });
  child.stdin.on("error", () => {
  });
  child.on("error", (error) => handlers.end(new CommandError(argv, "internal-error", null, error.message)));
  child.on("close", (status) => handlers.end(failure(argv, status, words, options)));
  return child;
}
async function readOrNull(file) {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT")
      return null;
    throw error;
  }
}
function watchDirectory(directory, changed) {
  let closed = false;
  let watching = { close: () => {
  } };
  const begin = async () => {
    const exists = await access(directory).then(() => true, () => false);
    if (closed)
      return;
    watching = exists ? watch(directory, (_, file) => changed(file ?? "")) : watch(dirname2(directory), () => {
      void access(directory).then(() => {
        watching.close();
        changed("");
        return begin();
      }, () => {
      });
    });
  };
  void begin();
  return { close: () => {
    closed = true;
    watching.close();
  } };
}

// test/lab/host.ts
var login = { user: "admin", password: "kvm-tap-lab" };
var keepers = /* @__PURE__ */ new Map();
function openHost(name) {
  const file = join6(directoryOf(name), "facts.json");
  if (!existsSync3(file))
    throw new Error(`lab: there is no host ${name}`);
  const facts = JSON.parse(readFileSync5(file, "utf8"));
  return new TestHost(name, facts, Internet.open(facts.internet));
}
var TestHost = class {
  constructor(name, facts, internet) {
    this.name = name;
    this.facts = facts;
    this.internet = internet;
    this.release = facts.release;
    this.root = join6(directoryOf(name), "root");
  }
  name;
  facts;
  internet;
  release;
  /** Path of its file tree on this machine. */
  root;
  machine = labMachine(() => this.leader);
  /** The process ID of its systemd on this machine. */
  get leader() {
    const scope = join6(cgroupOf(this.name), "host/payload/init.scope/cgroup.procs");
    const pid = existsSync3(scope) ? Number.parseInt(readFileSync5(scope, "utf8"), 10) : NaN;
    if (Number.isNaN(pid))
      throw new Error(`lab: ${this.name} is not running`);
    return pid;
  }
  /** Its network namespace by name, for programs of this machine (a browser): `ip netns exec NAMESPACE …`. */
  get namespace() {
    return namespaceOf(this.name);
  }
  /** Its address on an uplink: 0 is eth0, 1 is eth1. */
  address(uplink = 0) {
    return segments[uplink]?.address(this.facts.number) ?? "";
  }
  /** Runs a command as root. Rejects with CommandError. */
  run(argv, input) {
    return this.machine.run(argv, input === void 0 ? {} : { input });
  }
  /** Runs a shell script as root that stops at the first failing command. For tests only. */
  sh(script) {
    return this.run(["sh", "-euc", script]);
  }
  /** Runs a command as root, whatever comes of it. */
  attempt(argv, input) {
    return finish(inHost(this.leader, argv), input);
  }
  /** Shuts down in good order (or, with `cut`, as if the power went away) and boots again. 2 s. */
  async reboot({ cut = false } = {}) {
    if (cut)
      writeFileSync2(join6(cgroupOf(this.name), "host/cgroup.kill"), "1");
    else
      await this.attempt(["systemctl", "poweroff"]);
    await this.hasEnded();
    await this.boot();
  }
  /** Removes it and all that belongs to it. */
  async stop() {
    await letGo(this.name);
  }
  /** Boots it with a new network namespace; for a host that is off. */
  async boot() {
    await this.plugIn();
    const log = join6(directoryOf(this.name), "boot.log");
    startInCgroup(join6(cgroupOf(this.name), "host"), [
      "nsenter",
      `--net=/run/netns/${this.namespace}`,
      "--",
      "env",
      "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
      "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
      "systemd-nspawn",
      "--quiet",
      "--directory",
      this.root,
      "--boot",
      "--machine",
      this.name,
      "--register=no",
      "--keep-unit",
      "--capability=all",
      "--bind=/dev/net/tun",
      "--resolv-conf=off",
      "--timezone=off",
      "--link-journal=no",
      "--console=pipe"
    ], log);
    try {
      await until(`${this.name} to boot`, () => this.bootState(), 60);
    } catch (error) {
      throw new Error(`${String(error)}
${readFileSync5(log, "utf8").slice(-2e3)}`, { cause: error });
    }
  }
  /** "running", or "degraded" when a unit failed; null while it is still booting. */
  async bootState() {
    const { stdout } = await this.attempt(["sh", "-c", "systemctl is-system-running --wait; systemctl is-active graphical.target"]);
    const [state = "", target] = stdout.split("\n");
    return /^(running|degraded)$/.test(state) && target === "active" ? state : null;
  }
  async hasEnded() {
    const cgroup = join6(cgroupOf(this.name), "host");
    await until(`${this.name} to shut down`, () => readFileSync5(join6(cgroup, "cgroup.events"), "utf8").includes("populated 0"), 60);
    await must(["find", cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
  }
  /** A new network namespace whose uplinks lead into the internet. The links keep their MAC addresses, as hardware does. */
  async plugIn() {
    if (existsSync3(`/run/netns/${this.namespace}`))
      await must(["ip", "netns", "delete", this.namespace]);
    await must(["ip", "netns", "add", this.namespace]);
    const { number, uplinks } = this.facts;
    for (const [index, { uplink, bridge }] of segments.slice(0, uplinks).entries()) {
      const port = `${bridge}p${number}`;
      await finish(["ip", "-n", this.internet.namespace, "link", "delete", port]);
      await must([
        "ip",
        "-n",
        this.internet.namespace,
        "link",
        "add",
        port,
        "type",
        "veth",
        "peer",
        "name",
        uplink,
        "address",
        `02:00:00:00:0${index}:0${number}`,
        "netns",
        this.namespace
      ]);
      await must(["ip", "-n", this.internet.namespace, "link", "set", "dev", port, "up", "master", bridge]);
    }
  }
};
async function letGo(name) {
  const file = join6(directoryOf(name), "keeper");
  if (!existsSync3(file))
    return;
  const pid = Number(readFileSync5(file, "utf8"));
  process.kill(pid, "SIGTERM");
  keepers.delete(name);
  await until(`${name} to be removed`, () => !existsSync3(directoryOf(name)), 30);
  await until("its keeper to end", () => !existsSync3(`/proc/${pid}`), 5);
}

// test/browser/packages.ts
import { copyFileSync, existsSync as existsSync4, readdirSync, rmSync } from "node:fs";
import { join as join7 } from "node:path";
var built = join7(top, "output/deb");
async function installPackages(host2) {
  const packages = existsSync4(built) ? readdirSync(built).filter((name) => name.endsWith(".deb")) : [];
  if (packages.length !== 2)
    throw new Error("the browser tests install the packages: build them with `make deb`");
  for (const name of packages)
    copyFileSync(join7(built, name), join7(host2.root, "root", name));
  await host2.run(["dpkg", "--install", ...packages.map((name) => `/root/${name}`)]);
  for (const name of packages)
    rmSync(join7(host2.root, "root", name));
}

// test/browser/browser.ts
import { chmodSync, mkdtempSync, rmSync as rmSync2, writeFileSync as writeFileSync3 } from "node:fs";
import { tmpdir } from "node:os";
import { join as join8 } from "node:path";
import { chromium } from "playwright-core";
var desk = "203.0.113.200";
var flags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Chromium throttles what it thinks nobody sees; the tests measure how soon a page follows.
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding"
];
async function startBrowser(host2) {
  const directory = mkdtempSync(join8(tmpdir(), "kvm-tap-browser-"));
  const program = join8(directory, "chromium");
  writeFileSync3(program, launcher(host2.internet.namespace));
  chmodSync(program, 493);
  const browser2 = await chromium.launch({ executablePath: program, args: flags, chromiumSandbox: false });
  browser2.on("disconnected", () => rmSync2(directory, { recursive: true, force: true }));
  return browser2;
}
function launcher(internet) {
  const [segment] = segments;
  return `#!/bin/sh
exec unshare --net -- sh -euc '
    echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip link set dev lo up
    ip link add name eth0 type veth peer name desk netns ${internet}
    ip -n ${internet} link set dev desk master ${segment?.bridge} up
    ip address add ${desk}/24 dev eth0
    ip link set dev eth0 up
    ip route add default via ${segment?.gateway}
    exec /usr/bin/chromium "$@"' chromium "$@"
`;
}

// test/browser/cockpit.ts
var open = /* @__PURE__ */ new Set();
var Cockpit = class _Cockpit {
  constructor(page, host2) {
    this.page = page;
    this.host = host2;
    page.setDefaultTimeout(1e4);
    open.add(this);
    listen(page, this.complaints);
  }
  page;
  host;
  /** What the console of our frame complained of; a test that leaves something here fails at close(). */
  complaints = [];
  static async login(browser2, host2, options = {}) {
    const context = await browser2.newContext({
      ignoreHTTPSErrors: true,
      colorScheme: options.colorScheme ?? "light",
      viewport: size(1280)
    });
    if (options.language !== void 0)
      await speak(context, host2, options.language);
    const cockpit2 = new _Cockpit(await context.newPage(), host2);
    await cockpit2.page.goto(`https://${host2.address()}:9090${options.path ?? "/kvm-tap"}`);
    await cockpit2.enter();
    if (options.administrator !== false)
      await cockpit2.gainAccess();
    await cockpit2.page.setViewportSize(size(options.width ?? 1280));
    return cockpit2;
  }
  /** Fills in the login page. */
  async enter() {
    await this.page.fill("#login-user-input", login.user);
    await this.page.fill("#login-password-input", login.password);
    await this.page.click("#login-button");
    await this.page.locator("#main").waitFor();
  }
  /** The KVM TAP page. */
  get frame() {
    return this.page.frameLocator('iframe[name$="/kvm-tap"]');
  }
  /** The KVM TAP page's own document, for what a locator cannot say. */
  get document() {
    const frame = this.page.frames().find((one) => one.name().endsWith("/kvm-tap"));
    if (!frame)
      throw new Error("KVM TAP is not open");
    return frame;
  }
  /** The row of a guest, device or mapping in the table on the screen. */
  row(key) {
    return this.frame.locator(`[data-row="${key}"]`);
  }
  /** The open dialog. */
  get dialog() {
    return this.frame.getByRole("dialog");
  }
  /** Something shows within a second, as it must when the host changed. */
  async soon(shown) {
    await shown.first().waitFor({ timeout: 1e3 });
  }
  /** Marks the document, for `sameDocument`. */
  async mark() {
    await this.document.evaluate(() => {
      document.documentElement.dataset["mark"] = "same";
    });
  }
  /** Whether the page has not been loaded again since it was marked. */
  sameDocument() {
    return this.document.evaluate(() => document.documentElement.dataset["mark"] === "same");
  }
  /** Presses the shell's "Limited access" and gives the password. */
  async gainAccess() {
    await this.accessButton("locked").click();
    const password = this.page.locator("#switch-to-admin-access-password");
    await password.fill(login.password);
    await password.press("Enter");
    await this.accessButton("unlocked").waitFor();
    await this.page.locator("[role=dialog]").waitFor({ state: "detached" });
  }
  /** Presses the shell's "Administrative access" and confirms. */
  async dropAccess() {
    await this.accessButton("unlocked").click();
    await this.page.locator("[role=dialog] button.pf-m-primary").click();
    await this.accessButton("locked").waitFor();
    await this.page.locator("[role=dialog]").waitFor({ state: "detached" });
  }
  /** By its class, since its words depend on the language. */
  accessButton(state) {
    return this.page.locator(`button.ct-${state} >> visible=true`).first();
  }
  /** The shell's path with our part after the hash: `/kvm-tap#/guests/charon`. */
  get path() {
    const { pathname, hash } = new URL(this.page.url());
    return pathname + hash;
  }
  /** Goes to another of our pages as a followed link does: without loading the shell again. */
  async go(hash) {
    await this.page.evaluate((path) => {
      window.location.assign(path);
    }, `/kvm-tap#${hash}`);
  }
  /** The shell's own choice of style, as its session menu stores and announces it. */
  async style(style) {
    await this.page.locator("#toggle-menu").click();
    await this.page.locator(`.pf-v6-c-toggle-group #${style}, .pf-c-toggle-group #${style}`).click();
    await this.page.keyboard.press("Escape");
  }
  /** Waits for what no locator says. */
  async waitFor(what, holds) {
    await until(what, holds, 5);
  }
  /** Ends the window. Fails if our frame complained. */
  async close() {
    open.delete(this);
    await this.page.context().close();
    if (this.complaints.length > 0)
      throw new Error(`the page complained:
${this.complaints.join("\n")}`);
  }
  /** Waits until the host answers again, and logs in anew: what a person does after a reboot. */
  async comeBack() {
    await until("the login page", async () => {
      await this.page.goto(`https://${this.host.address()}:9090/kvm-tap`, { timeout: 5e3 });
      return this.page.locator("#login-user-input").isVisible();
    }, 30);
    await this.enter();
    await this.gainAccess();
  }
};
var size = (width) => ({ width, height: width < 600 ? 896 : 900 });
async function speak(context, host2, language) {
  await context.addCookies([{ name: "CockpitLang", value: language, url: `https://${host2.address()}:9090` }]);
  await context.addInitScript(`localStorage.setItem("cockpit.lang", ${JSON.stringify(language)})`);
}
function listen(page, complaints) {
  const ours = (url2) => url2?.includes("/kvm-tap/") === true;
  const optional = (url2) => url2.includes("/static/fonts/");
  page.on("console", (message) => {
    if (message.type() === "error" && ours(message.location().url) && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => {
    if (ours(error.stack))
      complaints.push(error.stack ?? error.message);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && ours(response.frame().url()) && !optional(response.url()))
      complaints.push(`${response.status()} ${response.url()}`);
  });
}

// test/lab/guest.ts
import { copyFileSync as copyFileSync2, existsSync as existsSync5, mkdirSync as mkdirSync5 } from "node:fs";
import { join as join9 } from "node:path";
function ethernet(target, { mac, managed, inside = "" } = {}) {
  return `<interface type='ethernet'>${mac ? `<mac address='${mac}'/>` : ""}<target dev='${target}'${managed ? ` managed='${managed}'` : ""}/><model type='virtio'/>${inside}</interface>`;
}
async function defineGuest(host2, options) {
  if (options.boots)
    await installKernel(host2);
  await host2.run(["virsh", "define", "/dev/stdin"], guestXml(options));
  const uuid = (await host2.run(["virsh", "domuuid", options.name])).trim();
  const [first] = [options.boots?.[0] ?? []].flat();
  return new Guest(host2, options.name, uuid, first?.address ?? "");
}
var Guest = class {
  constructor(host2, name, uuid, address) {
    this.host = host2;
    this.name = name;
    this.uuid = uuid;
    this.address = address;
  }
  host;
  name;
  uuid;
  address;
  virsh(command, ...args) {
    return this.host.run(["virsh", command, this.uuid, ...args]);
  }
  start() {
    return this.virsh("start");
  }
  async state() {
    return (await this.virsh("domstate")).trim();
  }
  /** Waits until the inside answers over its TAP device. */
  answers(seconds = 60) {
    return until(`${this.name} to answer`, () => this.host.run(["curl", "-sS", "-m", "2", url(this.address)]), seconds);
  }
  /** Waits for a state, such as "shut off". */
  async reaches(state, seconds = 30) {
    await until(`${this.name} to be ${state}`, async () => await this.state() === state, seconds);
  }
  /**
   * Runs a shell script inside the guest (busybox; asked for by the host over the TAP device). Rejects unless it succeeds.
   * What it starts in the background must let go of its output: `(sleep 1; reboot -f) > /dev/null 2>&1 &`.
   */
  async sh(script) {
    const said = await this.host.run(["curl", "-sS", "-m", "30", "--data-binary", "@-", `${url(this.address)}cgi-bin/sh`], script);
    const [, output = "", status] = /^([^]*?)status (\d+)\n$/.exec(said) ?? [];
    if (status !== "0")
      throw new Error(`lab: in ${this.name}: ${script}: ${output}status ${status ?? "unknown"}`);
    return output;
  }
};
var url = (address) => `http://${address.includes(":") ? `[${address}]` : address}/`;
var place = "/var/lib/lab-guest";
function guestXml({ name, uuid, interfaces, memory, boots, devices = "", domain = "" }) {
  return `<domain type='qemu'>
<name>${name}</name>${uuid ? `<uuid>${uuid}</uuid>` : ""}
<memory unit='MiB'>${memory ?? (boots ? 128 : 32)}</memory>
<os><type arch='x86_64' machine='pc'>hvm</type>${boots ? bootXml(name, boots) : ""}</os>
<features><acpi/></features>
${domain}
<devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
${interfaces.join("\n")}
<serial type='pty'><log file='/var/log/libvirt/qemu/${name}-console.log'/></serial>
<memballoon model='none'/>
${devices}
</devices>
</domain>`;
}
function bootXml(name, boots) {
  const links = boots.map((addresses, index) => `lab.eth${index}=${[addresses].flat().map(({ address, gateway }) => `${address}@${gateway ?? (address.includes(":") ? "fe80::1" : "169.254.0.1")}`).join(",")}`);
  return `<kernel>${place}/vmlinuz</kernel><initrd>${place}/initrd</initrd><cmdline>console=ttyS0 quiet panic=-1 lab.name=${name} ${links.join(" ")}</cmdline>`;
}
async function installKernel(host2) {
  const directory = join9(host2.root, place);
  if (existsSync5(directory))
    return;
  const from = await kernel();
  mkdirSync5(directory, { recursive: true });
  for (const file of ["vmlinuz", "initrd"])
    copyFileSync2(join9(from, file), join9(directory, file));
}

// ../../../tmp/devlive.ts
var [release = "trixie"] = process.argv.slice(2);
var host = openHost(`journeys-dev-${release}`);
if (process.env.INSTALL) await installPackages(host);
var browser = await startBrowser(host);
var cockpit = await Cockpit.login(browser, host);
cockpit.page.on("console", (m) => {
  if (/kvm-tap/.test(m.location().url)) console.log(m.type(), m.text());
});
await cockpit.row("charon").waitFor();
await cockpit.page.waitForTimeout(Number(process.env.WAIT ?? 0));
var time = async (what, act, key, text, detached = false) => {
  await act();
  const t = Date.now();
  try {
    detached ? await cockpit.row(key).waitFor({ state: "detached", timeout: 6e3 }) : await cockpit.row(key).getByText(text).first().waitFor({ timeout: 6e3 });
    console.log(what, Date.now() - t, "ms");
  } catch {
    console.log(what, "NOT in 6 s:", await cockpit.row(key).innerText().catch(() => "no row"));
  }
};
var g;
await time("define", async () => {
  g = await defineGuest(host, { name: "novus", interfaces: [ethernet("novus0", {})] });
}, "novus", "not there");
await time("tuntap add", () => host.run(["ip", "tuntap", "add", "dev", "novus0", "mode", "tap"]), "novus", "persistent, down");
await time("link up", () => host.run(["ip", "link", "set", "dev", "novus0", "up"]), "novus", "persistent, up");
await time("start (fails)", () => g.start().catch(() => 0), "novus", "not there");
await time("start", () => g.start(), "novus", "running");
await time("destroy", () => g.virsh("destroy"), "novus", "off");
await time("undefine", () => g.virsh("undefine"), "novus", "", true);
console.log(await host.sh("ps aux | grep -E 'virsh|ip |nft|journalctl|cockpit-bridge' | grep -v grep"));
await browser.close();
