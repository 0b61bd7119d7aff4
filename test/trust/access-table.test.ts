import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { operations } from "../../src/operations/index.ts";
import { openAnswer, type Question, sharedConnections } from "../support/http.ts";
import { createIdentity, signRegistration, signV1, signV2, stampFor, tokenOf } from "../support/identity.ts";
import { openBus, type SecureBus, type Server, secureBus } from "../support/secure-bus.ts";

/**
 * DESIGN's "Who may do what", cell by cell. Five signs say for whom a request is answered and not refused:
 *
 *   -  who shows nothing          k  who shows the server's API key (where it has one)
 *   a  who shows herald's token   o  who shows scout's token   p  who shows an operator's token
 *
 * A server that has an API key refuses who shows nothing, whatever stands here. A bus in open mode knows no tokens.
 */
// biome-ignore format: a table is read in columns
const TABLE: readonly Row[] = [
  //                                    open mode                     secure mode         IPC_READ_AUTH=required
  // request                            local     beyond    --insecure  local     beyond    local     beyond
  ["health",                         ["-k...", "-k...", "-k...",     "-kaop", "-kaop", "-kaop", "-kaop"]],
  ["agent card",                     ["-k...", "-k...", "-k...",     "-kaop", "-kaop", "-kaop", "-kaop"]],
  ["read as herald",                 ["-k...", ".k...", "-k...",     "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["read as scout",                  ["-k...", ".k...", "-k...",     "-k.op", "...op", "...op", "...op"]],
  ["read @herald as herald",         ["-k...", ".k...", "-k...",     "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["read @herald as scout",          ["-k...", ".k...", "-k...",     "-k..p", "....p", "....p", "....p"]],
  ["read security as herald",        ["-k...", ".k...", "-k...",     "-k..p", "....p", "....p", "....p"]],
  ["follow as herald",               ["-k...", ".k...", "-k...",     "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["count herald's unread",          ["-k...", ".k...", "-k...",     "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["acknowledge as herald",          ["-k...", ".k...", "-k...",     "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["channels",                       ["-k...", ".k...", "-k...",     "-kaop", "..aop", "..aop", "..aop"]],
  ["agents",                         ["-k...", ".k...", "-k...",     "-kaop", "..aop", "..aop", "..aop"]],
  ["send as herald, unsigned",       ["-k...", ".k...", "-k...",     "..a..", "..a..", "..a..", "..a.."]],
  ["send as herald, v1",             ["-k...", ".k...", "-k...",     "-kaop", "-kaop", "-kaop", "-kaop"]],
  ["send as herald, v2",             ["-k...", ".k...", "-k...",     "-kaop", "-kaop", "-kaop", "-kaop"]],
  ["send to security, v1",           [".....", ".....", ".....",     ".....", ".....", ".....", "....."]],
  ["register, operator_key",         [".....", ".....", ".....",     "-kaop", ".....", "-kaop", "....."]],
  ["register, operator_signature",   [".....", ".....", ".....",     "-kaop", "-kaop", "-kaop", "-kaop"]],
  ["peers",                           ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["status",                          ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["signals",                         ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["commands",                        ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["mailboxes",                       ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["events",                          ["-k...", ".k...", "-k...", "-kaop", "..aop", "..aop", "..aop"]],
  ["fetch herald's mail",             ["-k...", ".k...", "-k...", "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["messages of @herald",             ["-k...", ".k...", "-k...", "-ka.p", "..a.p", "..a.p", "..a.p"]],
  ["connect a session",               ["-k...", ".k...", "-k...", "..aop", "..aop", "..aop", "..aop"]],
  ["set a signal",                    ["-k...", ".k...", "-k...", "..aop", "..aop", "..aop", "..aop"]],
  ["send to a channel",               ["-k...", ".k...", "-k...", "..aop", "..aop", "..aop", "..aop"]],
  ["prune",                           ["-k...", ".k...", ".k...", "....p", "....p", "....p", "....p"]],
  ["reset",                          ["-k...", ".k...", ".k...",     "....p", "....p", "....p", "....p"]],
  ["metrics",                        ["-k...", ".k...", "-k...",     "-kaop", ".k..p", "-kaop", ".k..p"]],
];

/** In secure mode these are refused with 401 where a token is what is missing; every other refusal is 403. */
const WANTS_TOKEN =
  /^(read|follow|count|acknowledge|channels|agents|reset|peers|status|signals|commands|mailboxes|events|fetch|messages|connect|set|send to a|prune)/;

type Row = readonly [request: string, cells: readonly string[]];

const PROOFS = ["nothing", "the API key", "herald's token", "scout's token", "an operator's token"] as const;

const COLUMNS = ["open", "open", "open", "secure", "secure", "required", "required"] as const;

const API_KEY = "an-api-key-of-thirty-two-characters";

interface Place {
  readonly mode: "open" | "secure" | "required";
  readonly insecure: boolean;
  readonly hasKey: boolean;
}

const PLACES: readonly Place[] = (["open", "secure", "required"] as const).flatMap((mode) =>
  [false, true].flatMap((hasKey) => [
    { mode, hasKey, insecure: false },
    ...(mode === "open" && !hasKey ? [{ mode, hasKey, insecure: true }] : []),
  ]),
);

const ORIGINS = [
  { from: "local", headers: {} },
  { from: "beyond", headers: { Host: "bus.example.org" } },
  { from: "beyond", headers: { "X-Forwarded-For": "203.0.113.9" } },
] as const;

/** The status that the table gives a request. */
function expected(row: Row, place: Place, from: "local" | "beyond", proof: number): number {
  const isToken = proof >= 2;
  const known = isToken ? place.mode !== "open" : proof === 1 && place.hasKey;
  if (isToken && !known) return 403;
  if (place.hasKey && !known) return 401;
  const column = COLUMNS.indexOf(place.mode) + (from === "local" ? 0 : place.insecure ? 2 : 1);
  const sign = proof === 1 && !place.hasKey ? 0 : proof;
  if (row[1][column]?.[sign] !== ".") return 200;
  return place.mode !== "open" && !isToken && WANTS_TOKEN.test(row[0]) ? 401 : 403;
}

const runner = createIdentity("runner");

function requestOf(name: string, { herald, ops, did }: SecureBus, open: boolean): [string, Question] {
  const aud = open ? "" : did;
  const said = { channel: "builds", content: "x" };
  const { name: agent, publicPem: public_key } = runner;
  switch (name) {
    case "health":
      return ["GET /health", {}];
    case "agent card":
      return ["GET /.well-known/agent-card.json", {}];
    case "read as herald":
      return ["GET /messages?channel=quiet&agent=herald", {}];
    case "read as scout":
      return ["GET /messages?channel=quiet&agent=scout", {}];
    case "read @herald as herald":
      return ["GET /messages?channel=@herald&agent=herald", {}];
    case "read @herald as scout":
      return ["GET /messages?channel=@herald&agent=scout", {}];
    case "read security as herald":
      return ["GET /messages?channel=security&agent=herald&peek=true&limit=1", {}];
    case "follow as herald":
      return ["GET /follow?channel=quiet&agent=herald", {}];
    case "count herald's unread":
      return ["GET /health?channel=quiet&agent=herald", {}];
    case "acknowledge as herald":
      return ["POST /ack", { body: { channel: "quiet", agent: "herald", id: 0 } }];
    case "channels":
      return ["GET /channels", {}];
    case "agents":
      return ["GET /agents", {}];
    case "send as herald, unsigned":
      return ["POST /send", { body: { ...said, sender: "herald" } }];
    case "send as herald, v1":
      return ["POST /send", { body: signV1(herald, said) }];
    case "send as herald, v2":
      return ["POST /send", { body: signV2(herald, said, stampFor(aud)) }];
    case "send to security, v1":
      return ["POST /send", { body: signV1(herald, { ...said, channel: "security" }) }];
    case "register, operator_key":
      return ["POST /register", { body: { name: agent, public_key, operator: "ops", operator_key: ops.privatePem } }];
    case "register, operator_signature":
      return ["POST /register", { body: signRegistration(ops, runner, stampFor(aud)) }];
    case "reset":
      return ["POST /reset", { body: {} }];
    case "peers":
    case "status":
    case "signals":
    case "commands":
    case "mailboxes":
    case "events":
      return [`GET /${name}`, {}];
    case "fetch herald's mail":
      return ["GET /mailboxes/herald/fetch", {}];
    case "messages of @herald":
      return ["GET /channels/%40herald/messages", {}];
    case "connect a session":
      return ["POST /peers/connect", { body: { role: "worker" } }];
    case "set a signal":
      return ["POST /signals/ready", { body: {} }];
    case "send to a channel":
      return ["POST /channels/builds/send", { body: { text: "x" } }];
    case "prune":
      return ["POST /prune", { body: { keep: 1_000_000 } }];
    case "metrics":
      return ["GET /metrics", {}];
    default:
      throw new Error(`no request is known as ${name}`);
  }
}

/** Of a stream its beginning is enough. */
async function statusOf(server: Server, what: string, question: Question): Promise<number> {
  const response = await openAnswer(server.url, what, question);
  if (response.headers["content-type"] === "text/event-stream") response.destroy();
  else response.resume();
  return response.statusCode ?? 0;
}

suite("the access table", { concurrency: 2 }, () => {
  for (const place of PLACES) {
    const { mode, hasKey, insecure } = place;
    const of = `${mode} mode${hasKey ? ", with an API key" : ""}${insecure ? ", --insecure" : ""}`;
    test(`each request over HTTP in ${of}`, async () => {
      using secure = await secureBus();
      using open = openBus();
      const { did, herald, scout, ops } = secure;
      const bus = mode === "open" ? open : secure;
      const read = mode === "required" ? { IPC_READ_AUTH: "required" } : {};
      const key = hasKey ? { IPC_API_KEY: API_KEY } : {};
      await using server = await bus.serve({ ...read, ...key }, ...(insecure ? ["--insecure"] : []));
      const shown = [undefined, API_KEY, tokenOf(herald, did), tokenOf(scout, did), tokenOf(ops, did)];
      using agent = sharedConnections();
      const given: string[] = [];
      const wanted: string[] = [];
      for (const row of TABLE) {
        for (const { from, headers } of ORIGINS) {
          for (const [proof, bearer] of shown.entries()) {
            const [what, question] = requestOf(row[0], secure, mode === "open");
            const cell = `${row[0]} from ${JSON.stringify(headers)} with ${PROOFS[proof]}`;
            given.push(`${cell}: ${await statusOf(server, what, { ...question, headers, bearer, agent })}`);
            wanted.push(`${cell}: ${expected(row, place, from, proof)}`);
          }
        }
      }
      assert.deepEqual(given, wanted);
    });
  }

  test("it has a row for each kind of route that a server has", () => {
    const tried = new Set(TABLE.map(([name]) => requestOf(name, template, false)[0].split("?")[0] ?? ""));
    const matches = (route: string) => {
      const pattern = new RegExp(`^${route.replace(/:\w+/g, "[^/]+")}$`);
      return [...tried].some((path) => pattern.test(path));
    };
    const kinds = new Set(operations.filter(({ http }) => http && matches(http)).map(({ access }) => access.level));
    const untried = operations.filter(({ http, access }) => http && !matches(http) && !kinds.has(access.level));
    assert.deepEqual(untried, []);
    for (const { http, access } of operations)
      if (access.level === "signed" && http !== "POST /revoke") assert.ok(http);
  });
});

const template = await secureBus();
template[Symbol.dispose]();

/** A process that opened the database may do all that the file lets it; in secure mode sends and registrations are signed. */
const COMMANDS: readonly (readonly [words: string, open: boolean, secure: boolean])[] = [
  ["health", true, true],
  ["health quiet herald", true, true],
  ["agent-card", true, true],
  ["read quiet herald", true, true],
  ["read @herald scout", true, true],
  ["read security herald", true, true],
  ["ack quiet herald 0", true, true],
  ["channels", true, true],
  ["agents --keys", true, true],
  ["send builds herald x", true, false],
  ["send builds herald x --key KEYS/scout.key", true, false],
  ["send builds herald x --key KEYS/herald.key", true, true],
  ["send security herald x --key KEYS/herald.key", false, false],
  ["send security ops x --key KEYS/ops.key", false, false],
  ["register runner --pubkey KEYS/runner.pub --as ops", false, false],
  ["register runner --pubkey KEYS/runner.pub --as ops --key KEYS/herald.key", false, false],
  ["register runner --pubkey KEYS/runner.pub --as ops --key KEYS/ops.key", false, true],
  ["revoke runner --as ops --key KEYS/ops.key", false, true],
  ["reset", true, true],
];

suite("the access table on the command line", { concurrency: 2 }, () => {
  for (const mode of ["open", "secure"] as const) {
    test(`each command on a database in ${mode} mode, whatever a server would ask of readers`, async () => {
      using secure = await secureBus();
      using open = openBus();
      const bus = mode === "open" ? open : secure;
      for (const who of [secure.herald, secure.scout, secure.ops]) secure.keyOf(who);
      secure.write("runner.pub", createIdentity("runner").publicPem);
      const environment = { IPC_READ_AUTH: "required", IPC_API_KEY: API_KEY };
      const given: string[] = [];
      const wanted: string[] = [];
      for (const [words, inOpen, inSecure] of COMMANDS) {
        const typed = words.replaceAll("KEYS", secure.home).split(" ");
        const { code } = await bus.runWith(environment, ...typed);
        given.push(`${words}: ${code}`);
        wanted.push(`${words}: ${(mode === "open" ? inOpen : inSecure) ? 0 : 1}`);
      }
      assert.deepEqual(given, wanted);
    });
  }
});
