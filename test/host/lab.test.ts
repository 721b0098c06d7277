// SPDX-License-Identifier: LGPL-2.1-or-later
// What the lab promises to every other host test.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { finish, until } from "../lab/exec.ts";
import { openHost, startHost, type TestHost } from "../lab/host.ts";
import { directoryOf } from "../lab/places.ts";
import { eachRelease } from "../lab/releases.ts";

await eachRelease(release => {
    let host: TestHost;
    beforeAll(async () => { host = await startHost({ release }); });
    afterAll(() => host.stop());

    test("boots without a failed unit, with libvirt, Cockpit and the internet", async () => {
        expect(await host.bootState()).toBe("running");
        expect(await host.run(["virsh", "version"])).toContain("Running hypervisor: QEMU");
        expect(await host.run(["curl", "-sk", "https://127.0.0.1:9090/"])).toContain("<title>");
        await host.run(["curl", "-s", "http://203.0.113.254/from-the-host"]);
        expect(host.internet.received()).toContainEqual({ from: "203.0.113.1", path: "/from-the-host" });
    });

    test.each([{ cut: false }, { cut: true }])("loses its TAP devices when it reboots (%j), but no file", async how => {
        await host.sh("ip tuntap add dev styx0 mode tap; echo kept > /etc/lab-test");
        expect(await host.run(["ip", "-br", "link"])).toContain("styx0");
        await host.reboot(how);
        expect(await host.run(["ip", "-br", "link"])).not.toContain("styx0");
        expect(await host.run(["cat", "/etc/lab-test"])).toBe("kept\n");
        expect(await host.bootState()).toBe("running");
    });
});

describe("the Machine of a host", () => {
    let host: TestHost;
    beforeAll(async () => { host = await startHost({ release: "trixie" }); });
    afterAll(() => host.stop());

    test("runs commands: output, input through a pipe, exit status, standard error", async () => {
        const { machine } = host;
        expect(await machine.run(["cat"], { input: "Fährmann\n" })).toBe("Fährmann\n");
        expect(await machine.run(["cat", "/dev/stdin"], { input: "a pipe" })).toBe("a pipe");
        expect(await machine.run(["sh", "-c", "echo 1; echo 2 >&2; echo 3"], { mixed: true })).toBe("1\n2\n3\n");
        expect(await machine.run(["sh", "-c", "echo none; exit 1"], { accept: [1] })).toBe("none\n");
        await expect(machine.run(["cat", "/nowhere"])).rejects.toMatchObject({ problem: null, exitStatus: 1, words: expect.stringContaining("nowhere: No such file") });
        await expect(machine.run(["no-such-program"])).rejects.toMatchObject({ problem: "not-found", exitStatus: null });
    });

    test("writes files whole, and not when they changed meanwhile", async () => {
        const { machine } = host;
        expect(await machine.read("/etc/lab")).toBeNull();
        await machine.replace("/etc/lab", "one", null);
        await expect(machine.replace("/etc/lab", "two", null)).rejects.toMatchObject({ path: "/etc/lab", found: "one" });
        expect(await machine.read("/etc/lab")).toBe("one");
        await machine.replace("/etc/lab", null, "one");
        expect(await machine.read("/etc/lab")).toBeNull();
    });

    test("watches directories, also one that is made later", async () => {
        const seen: string[] = [];
        const watch = host.machine.watchDirectory("/etc/lab.d", path => seen.push(path));
        await host.sh("mkdir /etc/lab.d");
        await until("the directory to be noticed", () => seen.length > 0);
        await until("the file to be noticed", async () => {
            await host.sh("echo > /etc/lab.d/file");
            return seen.includes("/etc/lab.d/file");
        });
        watch.close();
    });

    test("ends what a closed stream ran", async () => {
        const running = () => host.attempt(["pgrep", "-x", "sleep"]).then(({ stdout }) => stdout !== "");
        const said: string[] = [];
        const stream = host.machine.stream(["sh", "-c", "read word; echo $word; exec sleep 1000"], {
            data: chunk => said.push(chunk), end: error => { throw error ?? new Error("ended"); },
        });
        stream.write("hello\n");
        await until("the answer", () => said.join("") === "hello\n" && running());
        stream.close();
        await until("the command to end", async () => !await running());
    });
});

test("hosts run side by side, and one can be the other's neighbour", async () => {
    const one = await startHost({ release: "trixie" });
    const two = await startHost({ release: "trixie", internet: one.internet });
    await one.sh("ip tuntap add dev styx0 mode tap");
    expect(await two.run(["ip", "-br", "link"])).not.toContain("styx0");
    expect(await two.run(["ping", "-c1", one.address()])).toContain(" 0% packet loss");
    await two.stop();
    expect(await one.run(["ip", "-br", "link"])).toContain("styx0");
    await one.stop();
});

test("a host goes with its test, however that ends", async () => {
    const name = `crash-${process.pid}`;
    const program = `
        const { startHost } = await import("./test/lab/host.ts");
        await startHost({ release: "trixie", name: "${name}" });
        console.log("up");
        setInterval(() => {}, 1000);`;
    const child = spawn("node", ["test/lab/run.mjs", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve, reject) => { child.stdout.once("data", resolve); child.once("exit", reject); });
    expect(await openHost(name).bootState()).toBe("running");
    child.kill("SIGKILL");
    await until("the host to be removed", () => !existsSync(directoryOf(name)));
    expect((await finish(["ip", "netns"])).stdout).not.toContain(name);
    expect((await finish(["cat", "/proc/mounts"])).stdout).not.toContain(name);
    expect((await finish(["find", "/sys/fs/cgroup", "-name", name])).stdout).toBe("");
});
