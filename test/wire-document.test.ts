// Plays each example of docs/wire.md as it stands there, over bare sockets.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { tcpPortOf, temporaryBus } from "./support/bus.ts";
import { connectRaw } from "./support/http.ts";
import { blocksOf } from "./support/markdown.ts";
import { start, waitUntil } from "./support/program.ts";
import { connectLines, connectWebSocket, type Frame, freePort } from "./support/sockets.ts";

const blocks = blocksOf(readFileSync(new URL("../docs/wire.md", import.meta.url), "utf8"));

const examples = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text);

interface Speaking extends Disposable {
  say(value: unknown): void;
  next(): Promise<Frame>;
}

/** `A> {…}` says, `A< {…}` expects. `@M` is a value that stays the same; `…` any value, or any more fields. */
async function play(text: string, speak: () => Promise<Speaking>): Promise<void> {
  using connections = new DisposableStack();
  const open = new Map<string, Speaking>();
  const closing = new Set<string>();
  const values = new Map<string, string>();
  for (const line of text.trim().split("\n")) {
    const [, who = "", direction, json = ""] = /^([A-Z])([<>]) (.*)$/.exec(line) ?? assert.fail(line);
    const known = [...values].reduce((filled, [name, value]) => filled.replaceAll(name, value), json);
    if (direction === ">") {
      const request: unknown = JSON.parse(known);
      const alone = !("id" in Object(request)) && !("type" in Object(request));
      const speaking = (alone || closing.has(who) ? undefined : open.get(who)) ?? connections.use(await speak());
      open.set(who, speaking);
      closing.delete(who);
      if (alone) closing.add(who);
      speaking.say(request);
      continue;
    }
    const said = await open.get(who)?.next();
    const pattern = known
      .replace(/@\w+/g, (name) => `{"same":"${name}"}`)
      .replace(/, …\}/g, ',"more":true}')
      .replaceAll("…", '{"any":true}');
    matches(said, JSON.parse(pattern), values, `${line}\n${JSON.stringify(said)}`);
  }
}

function matches(said: unknown, expected: unknown, values: Map<string, string>, about: string): void {
  if (typeof expected !== "object" || expected === null) assert.deepEqual(said, expected, about);
  else if ("any" in expected) assert.notEqual(said, undefined, about);
  else if ("same" in expected) values.set(String(expected.same), JSON.stringify(said));
  else {
    const { more, ...fields } = Object(expected);
    for (const [name, value] of Object.entries(fields)) matches(Object(said)[name], value, values, about);
    if (!more) assert.deepEqual(Object.keys(Object(said)).toSorted(), Object.keys(fields).toSorted(), about);
  }
}

suite("docs/wire.md", { concurrency: 3 }, () => {
  for (const [index, example] of examples("tcp").entries()) {
    test(`over TCP, example ${index + 1}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve({}, "--tcp", "0");
      const port = await tcpPortOf(server);
      await play(example, () => connectLines(port));
    });
  }

  for (const [index, example] of examples("websocket").entries()) {
    test(`over WebSocket, example ${index + 1}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      await play(example, () => connectWebSocket(server.port));
    });
  }

  test("point-to-point", async () => {
    const [example = ""] = examples("point");
    const port = await freePort();
    await using receiver = start(["tcp", "receive", String(port)], {});
    const connected = async () => {
      for (;;) {
        const line = await connectLines(port);
        if (!line.socket.destroyed) return line;
      }
    };
    const first = await connected();
    await play(example, () => Promise.resolve(first));
    assert.equal((await receiver.ended).stdout, "main is green\n");
  });

  test("over HTTP", async () => {
    const [example = ""] = examples("http");
    const said = example.split("\n").filter((line) => line.startsWith("<"));
    const request = example.split("\n").filter((line) => line.startsWith(">"));
    using bus = temporaryBus();
    await using server = await bus.serve();
    using socket = await connectRaw(server.url, request.map((line) => line.slice(2)).join("\r\n"));
    await waitUntil(() => socket.soFar().includes('"ok"'), "an answer");
    assert.ok(socket.soFar().startsWith(said[0]?.slice(2) ?? "?"));
    assert.match(socket.soFar(), /\{"ok":true,"id":\d+\}$/);
  });

  test("each kind of example is there", () => {
    for (const [language, least] of [
      ["tcp", 4],
      ["websocket", 2],
      ["point", 1],
      ["http", 1],
    ] as const) {
      assert.ok(examples(language).length >= least, language);
    }
  });
});
