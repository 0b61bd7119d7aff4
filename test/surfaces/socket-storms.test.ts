// Clients and servers that are killed at any moment, again and again, on each socket surface.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startBroker, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { type Server, untilListening, waitUntil } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { connectLines, connectWebSocket, freePort } from "../support/sockets.ts";

const MESSAGES = amount(150, 1_000);
const client = fileURLToPath(new URL("reader-process.ts", import.meta.url));

interface Surface {
  readonly name: "tcp" | "websocket";
  serve(bus: TemporaryBus, port: number): Promise<Server>;
  /** Posts each of these, again where it isn't known to be stored, under the same nonce. */
  post(port: number, texts: readonly string[]): Promise<void>;
}

const surfaces: readonly Surface[] = [
  {
    name: "tcp",
    serve: (bus, port) => untilListening(bus.start(["tcp", "broker", String(port)])),
    async post(port, texts) {
      using line = await connectLines(port);
      for (const text of texts) line.say({ id: text, op: "post", to: "A", from: "me", msg: text, ...stampOf(text) });
      for (const _ of texts) stored.add(String((await line.next()).id));
    },
  },
  {
    name: "websocket",
    serve: (bus, port) => untilListening(bus.start(["serve", String(port)])),
    async post(port, texts) {
      using socket = await connectWebSocket(port);
      for (const text of texts) {
        socket.say({ type: "message", id: text, to: "A", from: "me", message: text, ...stampOf(text) });
      }
      for (const _ of texts) stored.add(String((await socket.nextOf("stored")).id));
    },
  },
];

const stored = new Set<string>();
const stamps = new Map<string, object>();

function stampOf(text: string): object {
  const made = stamps.get(text) ?? {
    v: 2,
    aud: "",
    nonce: Buffer.from(text.padEnd(16)).toString("base64url"),
    ts: Date.now(),
  };
  stamps.set(text, made);
  return made;
}

/** A reader that is killed and started anew, and all that it ever said. */
function storm(surface: string, port: number) {
  const said: string[] = [];
  let child: ChildProcess;
  const begin = () => {
    child = spawn(process.execPath, ["--no-warnings", client, surface, String(port), "A"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (child.stdout) createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  };
  begin();
  return {
    said,
    strike() {
      child.kill("SIGKILL");
      begin();
    },
    end: () => void child.kill("SIGKILL"),
  };
}

const got = (said: readonly string[]) =>
  new Set(said.filter((line) => line.startsWith("got ")).map((line) => line.slice(4)));

suite("kill and reconnect storms", { concurrency: 2, timeout: 240_000 }, () => {
  for (const { name, serve, post } of surfaces) {
    test(`${name}: nothing that was stored is lost, and nothing that was acknowledged comes twice`, async () => {
      using bus = temporaryBus();
      const port = await freePort();
      let server = await serve(bus, port);
      const readers = [storm(name, port)];
      if (name === "tcp") readers.push(storm(name, port));
      try {
        const texts = Array.from({ length: MESSAGES }, (_, index) => `${name}-${index}`);
        for (let from = 0; from < MESSAGES; from += 50) {
          const batch = texts.slice(from, from + 50);
          const strike = sleep(20 + Math.random() * 300).then(async () => {
            if (from % 100 === 0) {
              server.child.kill("SIGKILL");
              await server.ended;
              server = await serve(bus, port);
            } else for (const reader of readers) reader.strike();
          });
          while (batch.some((text) => !stored.has(text))) {
            const missing = batch.filter((text) => !stored.has(text));
            await post(port, missing).catch(() => sleep(50));
          }
          await strike;
        }
        const said = () => readers.flatMap((reader) => reader.said);
        const end = Date.now() + 120_000;
        while (got(said()).size < MESSAGES && Date.now() < end) await sleep(50);
        assert.equal(got(said()).size, MESSAGES);
        await waitUntil(async () => /^A {2}0$/m.test((await bus.run("mailboxes")).stdout), "an empty mailbox");
        assert.ok(
          said().some((line) => line.startsWith("acknowledged ")),
          "readers are told what they have for good",
        );
        for (const { said } of readers) {
          const acknowledged = new Set<string>();
          for (const line of said) {
            const [what = "", text = ""] = line.split(" ");
            if (what === "acknowledged") acknowledged.add(text);
            else assert.ok(!acknowledged.has(text), `${text} came again`);
          }
        }
        const channel = (await bus.run("channel", "messages", "@A", "--limit", "1000")).stdout.trim().split("\n");
        assert.equal(channel.length, MESSAGES, "what was sent again is stored once");
      } finally {
        for (const reader of readers) reader.end();
        await server[Symbol.asyncDispose]();
      }
    });
  }

  test("a vanished waiter gives back its message at once, before any lease ends", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    for (const leave of ["resetAndDestroy", "destroy"] as const) {
      using gone = await connectLines(server.port);
      gone.say({ op: "wait", mailbox: leave, timeout: 60 });
      await waits(server.port, leave);
      gone.socket[leave]();
      await gone.closed;
      using line = await connectLines(server.port);
      line.say({ id: 1, op: "post", to: leave, from: "B", msg: "for whoever is there" });
      await line.next();
      const started = performance.now();
      line.say({ id: 2, op: "wait", mailbox: leave, timeout: 20 });
      assert.equal(Object((await line.next()).message).msg, "for whoever is there");
      assert.ok(performance.now() - started < 5_000, leave);
    }
  });
});

async function waits(port: number, mailbox: string): Promise<void> {
  using line = await connectLines(port);
  for (let id = 0; ; id++) {
    line.say({ id, op: "status" });
    if (Object.hasOwn(Object((await line.next()).mailboxes), mailbox)) return;
  }
}
