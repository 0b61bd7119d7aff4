import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decodeEvents, encodeEvent, KEEP_ALIVE, type ServerEvent } from "../../src/wire/sse.ts";

async function* inChunks(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks;
}

async function decoded(...chunks: (string | Uint8Array)[]): Promise<ServerEvent[]> {
  return Array.fromAsync(
    decodeEvents(inChunks(...chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)))),
  );
}

const events: readonly ServerEvent[] = [
  { data: "one" },
  { id: "7", data: '{"content":"ünïcode 🦜 \\n"}' },
  { event: "error", data: "two\nlines" },
  { id: "8", event: "x", data: "" },
  { data: " begins with a space: and a colon" },
  { data: "\n\nempty lines around\n\n" },
];

suite("server-sent events", () => {
  test("come back as they were sent", async () => {
    assert.deepEqual(await decoded(events.map(encodeEvent).join("")), events);
  });

  for (const [which, ends] of [
    ["of Unix", "\n"],
    ["of Windows", "\r\n"],
  ] as const) {
    test(`come back the same, wherever the connection cuts them in two, with line ends ${which}`, async () => {
      const bytes = Buffer.from((KEEP_ALIVE + events.map(encodeEvent).join(KEEP_ALIVE)).replaceAll("\n", ends));
      for (let cut = 0; cut <= bytes.length; cut++) {
        assert.deepEqual(await decoded(bytes.subarray(0, cut), bytes.subarray(cut)), events, `cut at ${cut}`);
      }
      assert.deepEqual(await decoded(...Array.from(bytes, (byte) => Buffer.from([byte]))), events);
    });
  }

  test("are as the specification has them", () => {
    assert.equal(encodeEvent({ id: "7", event: "error", data: "a\nb" }), "id: 7\nevent: error\ndata: a\ndata: b\n\n");
    assert.equal(encodeEvent({ data: "" }), "data: \n\n");
  });

  test("hold no line end that could begin another event", async () => {
    for (const data of ["a\r\ndata: b", "a\rid: 9", "a\n\nevent: error", "a\u2028b", "a\u0085b"]) {
      const [event, ...more] = await decoded(encodeEvent({ id: "1", data }));
      assert.deepEqual([event?.id, event?.event, more], ["1", undefined, []]);
      assert.equal(event?.data, data.replace(/\r\n?/g, "\n"));
    }
  });

  test("that keep a connection alive are none", async () => {
    assert.deepEqual(await decoded(KEEP_ALIVE.repeat(3)), []);
  });

  test("without data, of other fields and in comments are none", async () => {
    assert.deepEqual(await decoded(": a comment\nretry: 10\n\nid: 7\n\nevent: x\n\nnothing\n\n"), []);
    assert.deepEqual(await decoded(": a comment\nretry: 10\ndata: one\nmore: 1\n\n"), [{ data: "one" }]);
  });

  test("without the space behind the colon, or without the colon, are read", async () => {
    assert.deepEqual(await decoded("data:one\nid:7\n\ndata\n\ndata:  two\n\n"), [
      { id: "7", data: "one" },
      { data: "" },
      { data: " two" },
    ]);
  });

  test("that broke off don't come", async () => {
    assert.deepEqual(await decoded("data: one\n\ndata: two\n"), [{ data: "one" }]);
    assert.deepEqual(await decoded("data: one"), []);
    assert.deepEqual(await decoded(), []);
  });

  test("of 1 MiB in small pieces come", async () => {
    const data = "é".repeat(512 * 1024);
    const bytes = Buffer.from(encodeEvent({ data }));
    const pieces = Array.from({ length: Math.ceil(bytes.length / 16_001) }, (_, n) =>
      bytes.subarray(n * 16_001, (n + 1) * 16_001),
    );
    const [event] = await decoded(...pieces);
    assert.ok(event?.data === data);
  });
});
