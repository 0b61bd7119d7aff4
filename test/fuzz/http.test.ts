import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import type { Field } from "../../src/operations/fields.ts";
import { operations } from "../../src/operations/index.ts";
import { temporaryBus } from "../support/bus.ts";
import { ask, statusesIn } from "../support/http.ts";
import type { Server } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { type Chance, createChance } from "./random.ts";

const REQUESTS = amount(1_500, 20_000);
const AT_ONCE = 48;

/** A wait, a stream and half a request are left after this; everything else is answered long before. */
const PATIENCE_MS = 250;
const MAX_MS = 8_000;

interface Request {
  readonly bytes: Buffer;
  /** It is whole, and asks for nothing that waits. */
  readonly answered: boolean;
}

const routes = operations.flatMap(({ http, input }) =>
  http === undefined ? [] : [{ http, fields: Object.entries(input.fields) }],
);

function request(chance: Chance): Request {
  const kind = chance.below(10);
  if (kind === 0) return { bytes: chance.bytes(400), answered: false };
  const { bytes, answered } = kind < 6 ? post(chance) : get(chance);
  return kind % 3 === 0 ? { bytes: mutated(chance, bytes), answered: false } : { bytes, answered };
}

function post(chance: Chance): Request {
  const route = chance.pick(routes.filter(({ http }) => http.startsWith("POST")));
  const body = bodyFor(chance, route.fields);
  return { bytes: Buffer.concat([head(chance, route.http, body.length), body]), answered: true };
}

function bodyFor(chance: Chance, fields: readonly (readonly [string, Field])[]): Buffer {
  const kind = chance.below(12);
  if (kind === 0) return chance.bytes(200);
  if (kind === 1) return Buffer.from(chance.text(100));
  if (kind === 2) return Buffer.from(JSON.stringify(chance.json()));
  if (kind === 3) {
    const depth = chance.below(20_000);
    return Buffer.from(`{"channel":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  }
  if (kind === 4) {
    const depth = chance.below(5_000);
    return Buffer.from(`${'{"content":'.repeat(depth)}1${"}".repeat(depth)}`);
  }
  const pairs = [...some(chance, fields), ...(chance.often(0.3) ? ["__proto__", "constructor", "id", "v"] : [])].map(
    (field) => `${JSON.stringify(field)}:${JSON.stringify(value(chance))}`,
  );
  const text = `{${pairs.join(",")}}`;
  return Buffer.from(chance.often(0.1) ? text.replaceAll(/\d+/g, "9".repeat(400)) : text);
}

function some(chance: Chance, fields: readonly (readonly [string, Field])[]): string[] {
  return fields.filter(([, { optional }]) => chance.often(optional ? 0.25 : 0.95)).map(([name]) => name);
}

function value(chance: Chance): unknown {
  const kind = chance.below(10);
  if (kind < 7) return chance.pick(["c", "herald", "héllo", 5]);
  return kind < 9 ? chance.text(30) : chance.json();
}

function get(chance: Chance): Request {
  const route = chance.often(0.9)
    ? chance.pick(routes)
    : { http: `GET /${encodeURI(chance.text(20).toWellFormed())}`, fields: [] };
  const encode = (text: string) => (chance.often(0.8) ? encodeURIComponent(text.toWellFormed()) : raw(text));
  const pairs = some(chance, route.fields).map((field) => {
    const value = chance.often(0.4)
      ? chance.pick(["true", "1", "0", "5", "c", "manual", "999999999999"])
      : chance.text(20);
    return `${chance.often(0.9) ? field : encode(chance.text(10))}=${encode(value)}`;
  });
  if (chance.often(0.1)) pairs.push(...pairs);
  const [, path = "/"] = route.http.split(" ");
  const waits = [path, ...pairs].some((part) => /wait|^\/follow$/i.test(part));
  return { bytes: head(chance, `GET ${path}?${pairs.join("&")}`, 0), answered: !waits };
}

/** Characters that don't end the first line of a request. */
function raw(text: string): string {
  return text.replaceAll(/[^\u0021-\u007e]|#/g, "");
}

const HEADERS = [
  "Origin: null",
  "Origin: http://evil.example",
  "X-Forwarded-For: 1.2.3.4",
  "Authorization: Bearer \u00ff",
  "Last-Event-ID: 5",
  "Last-Event-ID: x",
  "Content-Type: text/plain",
  "Accept-Encoding: gzip",
  "Range: bytes=0-1",
  "If-None-Match: *",
  "Cookie: a=b",
  "Upgrade: websocket",
  "TE: trailers",
];

function head(chance: Chance, what: string, length: number): Buffer {
  const more = HEADERS.filter(() => chance.often(0.05));
  const host = chance.often(0.9) ? "localhost" : chance.pick(["evil.example", "[::1]:80", "127.0.0.1"]);
  const lines = [`${what} HTTP/1.1`, `Host: ${host}`, "Connection: close", `Content-Length: ${length}`, ...more];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

/** The same bytes with some of them lost, changed, doubled or new. */
function mutated(chance: Chance, bytes: Buffer): Buffer {
  let mutant = Buffer.from(bytes);
  for (let times = 1 + chance.below(6); times > 0; times--) {
    const at = chance.below(mutant.length);
    const to = Math.min(mutant.length, at + chance.below(30));
    const piece = chance.pick([
      Buffer.alloc(0),
      chance.bytes(8),
      mutant.subarray(at, to),
      Buffer.from("\r\n"),
      Buffer.from([0]),
    ]);
    mutant = Buffer.concat([mutant.subarray(0, at), piece, mutant.subarray(chance.often(0.5) ? at : to)]);
  }
  return mutant;
}

/** Sends it and answers with what came back until the other end closed, or patience did. */
function exchange({ port }: Server, { bytes, answered }: Request): Promise<string> {
  return new Promise((resolve, reject) => {
    // A client that ends its side counts as gone, and gets no answer that takes a moment.
    const socket = connect(port, "127.0.0.1", () => (answered ? socket.write(bytes) : socket.end(bytes)));
    let came = "";
    const leave = () => {
      socket.destroy();
      if (answered && came === "") reject(new Error("no answer"));
    };
    let timer = setTimeout(leave, answered ? MAX_MS : PATIENCE_MS);
    socket.setEncoding("latin1").on("data", (chunk) => {
      came += chunk;
      clearTimeout(timer);
      timer = setTimeout(leave, PATIENCE_MS);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(came);
    });
  });
}

test(`${REQUESTS} malformed requests: no crash, no hang, no 5xx, no stack trace`, async (t) => {
  const chance = createChance();
  t.diagnostic(`FUZZ_SEED=${chance.seed}`);
  using bus = temporaryBus();
  await using server = await bus.serve();
  const seen = new Map<number, number>();
  let left = REQUESTS;

  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const one = request(chance);
      const answer = await exchange(server, one).catch((error: unknown) => {
        throw new Error(`${String(error)} to ${JSON.stringify(one.bytes.toString("latin1"))}`);
      });
      for (const status of statusesIn(answer)) seen.set(status, (seen.get(status) ?? 0) + 1);
      const fault =
        statusesIn(answer).some((status) => status >= 500) || /node:internal|\n {4}at |\.ts:\d/.test(answer);
      if (fault) assert.fail(`FUZZ_SEED=${chance.seed}: ${JSON.stringify(one.bytes.toString("latin1"))} → ${answer}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));

  t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries([...seen].sort()))}`);
  for (const status of [200, 400, 403, 404, 405]) assert.ok((seen.get(status) ?? 0) > 10, `too few ${status}`);
  const health = await ask(server.url, "GET /health");
  assert.equal(health.status, 200);
  assert.equal(
    (await ask(server.url, "POST /send", { body: { channel: "c", sender: "a", content: "x" } })).status,
    200,
  );
  assert.equal((await bus.run("channels")).code, 0);
  server.child.kill("SIGTERM");
  const { code, stdout, stderr } = await server.ended;
  assert.deepEqual([code, stdout], [0, ""]);
  for (const line of stderr.trimEnd().split("\n")) {
    const { level, event } = JSON.parse(line);
    assert.ok(level !== "error" && event !== "fault", line);
  }
});
