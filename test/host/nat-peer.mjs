// SPDX-License-Identifier: LGPL-2.1-or-later
// Both ends of test connections, run inside of a network namespace: node nat-peer.mjs VERB …
//   serve PORT [WORD]         answers whoever connects or sends a datagram with the address it came from, or with WORD; a TCP peer that
//                             goes on writing is echoed
//   ask tcp|udp HOST PORT     prints that answer; exit status 1 when none comes within 2 s
//   hold HOST PORT MS         writes a byte every MS milliseconds and prints "open", then "closed" and exits 3 when no echo
//                             came for a second or the connection broke
//   sessions HOST PORT N MS   N connections that write a byte every MS milliseconds; says "open" when all are, and after SIGTERM how
//                             many broke and the longest time that one was silent, in milliseconds
//   knock HOST PORT MS        connects anew and sends a datagram every MS milliseconds; says after SIGTERM how often it was answered,
//                             by what was answered
//   burst HOST PORT COUNT MS  sends COUNT datagrams, one every MS milliseconds, and prints how many were answered
//   fetch HOST PORT BYTES     sends so many bytes and prints how many came back
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";

const [verb, ...args] = process.argv.slice(2);

function plain(address) {
    return address.replace(/^::ffff:/, "");
}

function serve(port, word) {
    createServer(socket => {
        socket.on("error", () => socket.destroy());
        socket.write(`${word ?? plain(socket.remoteAddress)}\n`);
        socket.pipe(socket);
    }).listen(port, "::", () => {
        // A socket for each address, so that answers come from the address that was asked.
        const all = Object.values(networkInterfaces()).flat().map(({ address }) => address);
        const own = new Set(all.filter(address => !/^fe80/.test(address)));
        let waiting = own.size;
        for (const address of own) {
            const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
            udp.on("message", (_, from) => udp.send(`${word ?? plain(from.address)}\n`, from.port, from.address));
            udp.bind(port, address, () => { if (--waiting === 0) console.log("ready"); });
        }
    });
}

function answer(text) {
    console.log(text.toString().split("\n")[0]);
    process.exit(0);
}

function ask(protocol, host, port) {
    setTimeout(() => process.exit(1), 2000);
    if (protocol === "tcp") {
        connect(port, host).on("data", answer).on("error", error => { console.error(error.message); process.exit(1); });
        return;
    }
    const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
    udp.on("message", answer).on("error", () => process.exit(1));
    udp.send("?", port, host);
}

function hold(host, port, interval) {
    const socket = connect(port, host);
    const closed = () => { console.log("closed"); process.exit(3); };
    let timer;
    socket.on("connect", () => console.log("open")).on("error", closed).on("close", closed);
    socket.on("data", () => {
        clearTimeout(timer);
        timer = setTimeout(closed, 1000);
        setTimeout(() => socket.write("."), interval);
    });
}

function sessions(host, port, count, interval) {
    let open = 0, broken = 0, longest = 0;
    for (let index = 0; index < count; index++) {
        let last = 0;
        const socket = connect({ port, host, noDelay: true });
        const lost = () => { broken++; socket.destroy(); };
        socket.on("error", lost).on("end", lost).on("data", () => {
            const now = Date.now();
            longest = last > 0 ? Math.max(longest, now - last) : 0;
            last = now;
        });
        socket.on("connect", () => {
            setInterval(() => socket.write("."), interval);
            if (++open === count)
                console.log("open");
        });
    }
    process.on("SIGTERM", () => { console.log(`broken ${broken} longest ${longest}`); process.exit(0); });
}

function knock(host, port, interval) {
    const answers = {};
    const count = text => { const [word] = text.toString().split("\n"); answers[word] = (answers[word] ?? 0) + 1; };
    const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
    udp.on("message", count).on("error", () => undefined);
    setInterval(() => {
        udp.send("?", port, host);
        const socket = connect(port, host);
        // A refusal is an answer, too.
        socket.setTimeout(1500, () => socket.destroy())
                .on("error", ({ code }) => count(code)).on("data", data => { count(data); socket.destroy(); });
    }, interval);
    process.on("SIGTERM", () => { console.log(JSON.stringify(answers)); process.exit(0); });
}

function burst(host, port, count, interval) {
    const udp = createSocket(host.includes(":") ? "udp6" : "udp4");
    let sent = 0, answered = 0;
    udp.on("message", () => { answered++; });
    udp.bind(0, () => {
        console.log("open");
        const timer = setInterval(() => {
            udp.send("?", port, host);
            if (++sent < count)
                return;
            clearInterval(timer);
            setTimeout(() => { console.log(`answered ${answered}`); process.exit(0); }, 1000);
        }, interval);
    });
}

function fetchBack(host, port, bytes) {
    setTimeout(() => { console.log(got); process.exit(1); }, 8000);
    let got = 0;
    const socket = connect(port, host, () => socket.write(Buffer.alloc(bytes, ".")));
    let first = true;
    socket.on("data", data => {
        const from = first ? data.indexOf("\n") + 1 : 0;
        first = false;
        got += data.length - from;
        if (got >= bytes) { console.log(got); process.exit(0); }
    }).on("error", () => process.exit(1));
}

switch (verb) {
case "serve": serve(Number(args[0]), args[1]); break;
case "ask": ask(args[0], args[1], Number(args[2])); break;
case "hold": hold(args[0], Number(args[1]), Number(args[2])); break;
case "sessions": sessions(args[0], Number(args[1]), Number(args[2]), Number(args[3])); break;
case "knock": knock(args[0], Number(args[1]), Number(args[2])); break;
case "burst": burst(args[0], Number(args[1]), Number(args[2]), Number(args[3])); break;
case "fetch": fetchBack(args[0], Number(args[1]), Number(args[2])); break;
default: process.exit(2);
}
