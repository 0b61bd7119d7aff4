import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, temporaryBus } from "../support/bus.ts";
import { fastClock } from "../support/clock.ts";
import { ask, bodyIn, connectRaw, type RawConnection, statusesIn } from "../support/http.ts";
import { type Server, untilListening } from "../support/program.ts";

/** The server closes while the client still sends; what that resets takes the answer with it. */
const MiB = 1024 * 1024;

const head = (more: string) =>
  `POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${more}\r\n`;

const send = (server: Server, body: unknown) => ask(server.url, "POST /send", { body });

/** Writes until the other end has answered or closed; answers with how much it took. */
async function pour({ socket, soFar }: RawConnection, piece: string, most: number): Promise<number> {
  let poured = 0;
  while (poured < most && soFar() === "" && !socket.destroyed) {
    const flows = socket.write(piece);
    poured += piece.length;
    if (!flows)
      await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve).once("data", resolve));
    else await sleep(0);
  }
  return poured;
}

async function isWell(server: Server): Promise<void> {
  assert.equal((await send(server, { channel: "well", sender: "a", content: "x" })).status, 200);
}

suite("what a request may be", { concurrency: 6 }, () => {
  test("a body that is declared too large is refused before it comes: 413", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const length of [6 * MiB + 64 * 1024 + 1, 1e12]) {
      using connection = await connectRaw(server.url, head(`Content-Length: ${length}\r\n`));
      const answer = await connection.all;
      assert.deepEqual(statusesIn(answer), [413]);
      assert.deepEqual(bodyIn(answer), {
        ok: false,
        error: "the body is too large: 6 MiB at most, and 1 MiB of content",
        code: "invalid",
        reason: "too_large",
      });
    }
    await isWell(server);
  });

  test("a client that asks first (Expect: 100-continue) is refused before it sends", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using large = await connectRaw(server.url, head(`Content-Length: ${7 * MiB}\r\nExpect: 100-continue\r\n`));
    assert.deepEqual(statusesIn(await large.all), [413]);
    const body = JSON.stringify({ channel: "c", sender: "a", content: "x" });
    using small = await connectRaw(
      server.url,
      head(`Content-Length: ${body.length}\r\nExpect: 100-continue\r\nConnection: close\r\n`),
    );
    while (small.soFar() === "") await sleep(5);
    assert.deepEqual(statusesIn(small.soFar()), [100]);
    small.socket.write(body);
    assert.deepEqual(statusesIn(await small.all), [100, 200]);
  });

  test("a body in chunks that grows too large is refused before it ends: 413", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using connection = await connectRaw(server.url, head("Transfer-Encoding: chunked\r\n"));
    const piece = "x".repeat(64 * 1024);
    const poured = await pour(connection, `${piece.length.toString(16)}\r\n${piece}\r\n`, 64 * MiB);
    assert.ok(poured < 32 * MiB, `${poured}`);
    await isWell(server);
    assert.deepEqual(statusesIn(await connection.all), [413]);
  });

  test("a client that sends all of a large body before it reads gets the 413 too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const body = Buffer.alloc(20 * MiB, "x");
    for (let count = 0; count < 10; count++) assert.equal((await send(server, body)).status, 413);
  });

  test("content is 1 MiB of UTF-8 at most, however it is escaped: 413", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const message = (content: string) => ({ channel: "c", sender: "a", content });
    assert.equal((await send(server, message("x".repeat(MiB)))).status, 200);
    assert.equal((await send(server, message("ü".repeat(MiB / 2)))).status, 200);
    for (const content of ["x".repeat(MiB + 1), "ü".repeat(MiB / 2 + 1)]) {
      const { status, json } = await send(server, message(content));
      assert.equal(status, 413);
      assert.ok(typeof json === "object" && json !== null && "error" in json && "reason" in json);
      assert.deepEqual([json.error, json.reason], ["content must be 1 MiB of UTF-8 at most", "too_large"]);
    }
    const escaped = `{"channel":"c","sender":"a","content":"${"\\u0061".repeat(MiB)}"}`;
    assert.ok(escaped.length > 6 * MiB);
    assert.equal((await send(server, escaped)).status, 200);
    const { json } = await ask(server.url, "GET /messages?channel=c&agent=b");
    assert.deepEqual(
      contentsOf(json).map((content) => Buffer.byteLength(content)),
      [MiB, MiB, MiB],
    );
  });

  test("a read answers with 1,000 messages and 8 MiB at most, the rest by the next", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const count = async (path: string) =>
      contentsOf((await ask(server.url, `GET /messages?agent=b&${path}`)).json).length;
    await Promise.all(
      Array.from({ length: 1_005 }, () => send(server, { channel: "many", sender: "a", content: "x" })),
    );
    assert.deepEqual([await count("channel=many"), await count("channel=many")], [1_000, 5]);
    for (let large = 0; large < 10; large++)
      await send(server, { channel: "large", sender: "a", content: "x".repeat(MiB) });
    assert.deepEqual([await count("channel=large"), await count("channel=large")], [8, 2]);
  });

  test("a body that is not JSON, not an object or not UTF-8 is 400", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const cases: readonly [unknown, string][] = [
      ["{", "the body must be JSON"],
      ["{'channel':'c'}", "the body must be JSON"],
      ["channel=c&sender=a&content=x", "the body must be JSON"],
      ["[]", "the body must be a JSON object"],
      ["null", "the body must be a JSON object"],
      ['"text"', "the body must be a JSON object"],
      ["1", "the body must be a JSON object"],
      [Buffer.from('{"channel":"c","sender":"a","content":"\xff"}', "latin1"), "the body must be UTF-8"],
      [Buffer.from('{"channel":"c","sender":"a","content":"\xed\xa0\x80"}', "latin1"), "the body must be UTF-8"],
      ['{"channel":"c","sender":"a","content":"\\ud800"}', "content must be valid Unicode"],
      ["{}", "channel, sender, and content required"],
    ];
    for (const [body, error] of cases) {
      const { status, json } = await send(server, body);
      assert.deepEqual([status, json], [400, { ok: false, error, code: "invalid" }]);
    }
    assert.equal((await send(server, "\ufeff{}")).status, 400);
    assert.equal((await send(server, `${"[".repeat(100_000)}`)).status, 400);
    assert.equal((await send(server, `{"content":${"[".repeat(50_000)}${"]".repeat(50_000)}}`)).status, 400);
    assert.equal((await ask(server.url, "GET /channels")).text, "[]");
  });

  test("a field of the wrong type, a name that can't be and unknown fields: 400, 400 and ignored", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const good = { channel: "c", sender: "a", content: "x" };
    for (const field of Object.keys(good)) {
      for (const value of [1, true, false, [], {}, ["x"], 1e308]) {
        const { status, json } = await send(server, { ...good, [field]: value });
        assert.deepEqual([status, json], [400, { ok: false, error: `${field} must be text`, code: "invalid" }]);
      }
    }
    for (const name of ["a\nb", "\u0000", "\u007f", "x".repeat(201)]) {
      for (const field of ["channel", "sender"])
        assert.equal((await send(server, { ...good, [field]: name })).status, 400);
    }
    const odd = `{"__proto__":{"channel":"p"},"constructor":1,"toString":2,"id":-1,"channel":"c","sender":"a","content":"x"}`;
    assert.deepEqual((await send(server, odd)).json, { ok: true, id: 1 });
    assert.equal((await send(server, '{"__proto__":{"channel":"p","sender":"a","content":"x"}}')).status, 400);
  });

  test("a query with a repeated parameter or bad encoding is 400", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const read = async (query: string) => (await ask(server.url, `GET /messages?${query}`)).json;
    assert.deepEqual(await read("channel=a&agent=b&channel=c"), {
      ok: false,
      error: '"channel" is given twice',
      code: "invalid",
    });
    for (const query of [
      "channel=%&agent=b",
      "channel=%ff&agent=b",
      "channel=%u0041&agent=b",
      "%=1&channel=a&agent=b",
    ]) {
      assert.deepEqual(await read(query), {
        ok: false,
        error: "the address is not well encoded: use %XX of UTF-8",
        code: "invalid",
      });
    }
    assert.deepEqual(await read("channel=a%0Ab&agent=b"), {
      ok: false,
      error: "channel must not contain control characters",
      code: "invalid",
    });
    for (const query of ["__proto__=1&channel=a&agent=b", "constructor=1&channel=a&agent=b", "&&channel=a&agent=b&x"]) {
      assert.deepEqual(await read(query), []);
    }
    assert.deepEqual(await read("channel=a=b&agent=b"), []);
  });

  test("something that isn't HTTP gets an answer in JSON and a closed connection", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const wrong = [
      "hello\r\n\r\n",
      "GET /health HTTP/1.1\r\n\r\n",
      "GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
      head("Content-Length: 5\r\nContent-Length: 6\r\n"),
      head("Content-Length: -5\r\n"),
      head("Content-Length: 99999999999999999999\r\n"),
      head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      `${head("Transfer-Encoding: chunked\r\n")}zz\r\n`,
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
      `GET /health?${"x".repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003",
    ];
    for (const text of wrong) {
      using connection = await connectRaw(server.url, Buffer.from(text, "latin1"));
      const answer = await connection.all;
      assert.match(answer, /^HTTP\/1\.1 (400 Bad Request|431 Request Header Fields Too Large)\r\n/, text.slice(0, 60));
    }
    await isWell(server);
  });

  test("half a request blocks nothing, and is ended in time: 408", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await using quick = await untilListening(bus.start(["serve", "0"], { node: fastClock }));
    const halves = [
      "",
      "GET /hea",
      "GET /health HTTP/1.1\r\nHost: localh",
      head("Content-Length: 50\r\n"),
      `${head("Content-Length: 50\r\n")}{"chan`,
    ];
    const connections = await Promise.all(
      halves.flatMap((half) => [connectRaw(server.url, half), connectRaw(quick.url, half)]),
    );
    await isWell(server);
    const ended = connections.filter((_, index) => index % 2 === 1).slice(1);
    for (const connection of ended) assert.deepEqual(statusesIn(await connection.all), [408]);
    for (const connection of connections) connection.socket.destroy();
    await isWell(server);
    assert.equal((await ask(server.url, "GET /channels")).status, 200);
    server.child.kill();
    assert.doesNotMatch((await server.ended).stderr, /fault|"error"/);
  });

  test("a body whose client leaves in the middle of it stores nothing and is no fault", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const body = JSON.stringify({ channel: "half", sender: "a", content: "x".repeat(1_000) });
    const whole = `${head(`Content-Length: ${body.length}\r\n`)}${body}`;
    for (let length = 50; length < whole.length; length += 97) {
      using connection = await connectRaw(server.url, whole.slice(0, length));
      connection.socket.end();
    }
    await isWell(server);
    assert.deepEqual(contentsOf((await ask(server.url, "GET /messages?channel=half&agent=b")).json), []);
    server.child.kill();
    assert.doesNotMatch((await server.ended).stderr, /fault|"error"/);
  });
});
