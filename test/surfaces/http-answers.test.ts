// What the OpenAPI document says of answers, held against real ones: one at least of each operation, and each kind of
// refusal.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { suite, test } from "node:test";
import { expectSuccess, placeKeys, secureBus, temporaryBus, textIn } from "../support/bus.ts";
import { type Answer, ask, openAnswer, type Question } from "../support/http.ts";
import { faultsOf } from "../support/schema.ts";

type Json = Readonly<Record<string, unknown>>;

interface Story {
  /** Asks, and holds the answer against what the document says of that status. */
  ask(what: string, body?: unknown, asking?: Question): Promise<Json>;
  /** The first of a stream's, held against the same. */
  first(what: string, body?: unknown): Promise<unknown>;
  readonly answered: ReadonlySet<string>;
}

/** A server's document, and what was asked of it. */
async function storyOf(url: string): Promise<Story & { readonly api: Json }> {
  const api: Json = Object((await ask(url, "GET /openapi.json")).json);
  const answered = new Set<string>();

  const describing = (what: string): { readonly name: string; readonly told: Json } => {
    const [method = "", address = ""] = what.split(" ");
    const parts = (address.split("?")[0] ?? "").split("/");
    const found = Object.entries(Object(api.paths))
      .filter(([path, methods]) => {
        const place = path.split("/");
        const fits =
          place.length === parts.length && place.every((part, n) => part.startsWith("{") || part === parts[n]);
        return fits && Object.hasOwn(Object(methods), method.toLowerCase());
      })
      .toSorted(([one], [other]) => one.split("{").length - other.split("{").length);
    const [path, methods] = found[0] ?? assert.fail(`${what} isn't described`);
    return { name: `${method} ${path}`, told: Object(methods)[method.toLowerCase()] };
  };

  const contentOf = (told: Json, status: number, what: string): Json => {
    const response =
      Object(told.responses)[status] ?? assert.fail(`${what} answers with ${status}, which isn't described`);
    const [, , , name] = String(response.$ref ?? "").split("/");
    return (name === undefined ? response : Object(api.components).responses[name]).content;
  };

  const hold = (what: string, { status, json }: Answer): Json => {
    const { name, told } = describing(what);
    const { schema } = Object(contentOf(told, status, what)["application/json"]);
    assert.deepEqual(faultsOf(api, schema, json), [], what);
    if (status === 200) answered.add(name);
    return Object(json);
  };

  return {
    api,
    answered,
    ask: async (what, body, asking = {}) => hold(what, await ask(url, what, { ...asking, body })),
    async first(what, body) {
      const { name, told } = describing(what);
      const controller = new AbortController();
      const stream = await openAnswer(url, what, { body, signal: controller.signal });
      stream.on("error", () => {});
      try {
        let text = "";
        for await (const chunk of stream.setEncoding("utf8")) {
          text += chunk;
          const data = /^data: (.*)\n\n/m.exec(text)?.[1];
          if (data === undefined) continue;
          const each = JSON.parse(data);
          assert.deepEqual(
            faultsOf(api, Object(contentOf(told, 200, what)["text/event-stream"])["x-data"], each),
            [],
            what,
          );
          answered.add(name);
          return each;
        }
      } finally {
        controller.abort();
      }
      throw new Error(`${what}: nothing came`);
    },
  };
}

const idIn = (answer: Json): string => String(answer.id);

suite("answers over HTTP are what the OpenAPI document says", { concurrency: true }, () => {
  test("each operation's", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const story = await storyOf(server.url);

    const sent = await story.ask("POST /send", { channel: "builds", sender: "herald", content: "one" });
    await story.ask("GET /messages?channel=builds&agent=reader&ack=manual");
    await story.ask("GET /messages?channel=empty&agent=reader");
    await story.ask("POST /ack", { channel: "builds", agent: "reader", id: sent.id });
    await story.ask("GET /channels");
    await story.ask(`GET /receipts?id=${idIn(sent)}`);
    await story.ask("GET /health?channel=builds&agent=late");
    await story.ask("GET /rights");
    await story.ask("GET /.well-known/agent-card.json");
    await story.ask("GET /agents");
    await story.ask("GET /traffic");
    await story.first("GET /follow?channel=builds&agent=late");

    const posted = await story.ask("POST /mailboxes/reviewer", { from: "builder", message: "look" });
    await story.ask("GET /mailboxes");
    await story.ask("GET /mailboxes/reviewer");
    await story.ask("GET /mailboxes/reviewer/fetch?ack=manual");
    await story.ask("POST /mailboxes/reviewer/settle", { ids: [posted.id] });
    await story.ask("GET /mailboxes/reviewer/wait?timeout=0.1");
    await story.ask("POST /mailboxes/reviewer", { from: "builder", message: "again" });
    await story.ask("GET /mailboxes/reviewer/wait");
    await story.ask("GET /online/reviewer");

    await story.ask("GET /peers/discover");
    const boss = idIn(await story.ask("POST /peers/connect", { role: "orchestrator" }));
    const worker = idIn(await story.ask("POST /peers/connect", { role: "backend", capabilities: ["node"] }));
    await story.ask("GET /peers");
    await story.ask(`GET /peers/${worker}`);
    await story.ask(`POST /peers/${worker}/heartbeat`);
    await story.ask(`POST /peers/${worker}/role`, { role: "tester" });

    const order = { from: boss, target: worker, action: "test", params: { deep: [1, null] } };
    const { command } = await story.ask("POST /commands/send", order);
    await story.ask("GET /commands");
    await story.ask(`GET /commands/${worker}`);
    await story.ask(`GET /commands/${worker}/wait?timeout=1000`);
    await story.ask(`POST /commands/${Object(command).id}/ack`, { result: { passed: true } });
    await story.ask(`GET /commands/${Object(command).id}/result`);
    await story.ask(`GET /commands/${boss}/wait?timeout=1000`);
    await story.ask(`GET /commands/${boss}/wait?timeout=1`);
    const failing = Object((await story.ask("POST /commands/send", order)).command).id;
    await story.ask(`POST /commands/${failing}/fail`, { error: "no" });
    await story.ask(`POST /commands/${failing}/retry`);
    await story.ask("POST /commands/send", { ...order, target: "tester", any: true });
    await story.ask("POST /commands/ask", order);

    await story.ask("POST /signals/ready", { data: { port: 7400 } });
    await story.ask("GET /signals");
    await story.ask("GET /signals/ready");
    await story.ask("GET /signals/ready/wait");
    await story.ask("GET /signals/never/wait?timeout=1");
    await story.first("GET /events");
    await story.ask("GET /status");
    await story.ask("DELETE /signals/ready");

    await story.ask("POST /channels/builds/send?from=ci", { status: "green" });
    await story.ask("GET /channels/builds/messages");
    await story.ask(`DELETE /peers/${worker}`);
    await story.ask("GET /commands");
    await story.first("POST /prune", { keep: 1 });
    await story.ask("POST /reset");

    using secure = await secureBus("herald");
    await using guarded = await secure.serve();
    const { ask: askGuarded, answered } = await storyOf(guarded.url);
    placeKeys(secure, "scout");
    const [public_key, operator_key] = [textIn(secure.file("scout.pub")), textIn(secure.file("ops.key"))];
    await askGuarded("POST /register", { name: "scout", public_key, operator: "ops", operator_key });
    await askGuarded("GET /agents?keys=true");
    await askGuarded("GET /.well-known/agent-card.json");
    await askGuarded("GET /rights");
    await askGuarded("GET /health");

    const described = Object.entries(Object(story.api.paths)).flatMap(([path, methods]) =>
      Object.keys(Object(methods)).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // Figures are no JSON; this document is; and `revoke` is signed, so the command line asks for it below.
    const apart = ["GET /metrics", "GET /openapi.json", "POST /revoke"];
    const left = described.filter((name) => !story.answered.has(name) && !answered.has(name) && !apart.includes(name));
    assert.deepEqual(left, []);
    const signed = ["--as", "ops", "--key", secure.file("ops.key"), "--url", guarded.url, "--json"];
    const { stdout } = await expectSuccess(secure.run("revoke", "scout", ...signed));
    const { schema } = Object(Object(story.api.paths)["/revoke"]).post.responses[200].content["application/json"];
    assert.deepEqual(faultsOf(story.api, schema, JSON.parse(stdout)), []);
  });

  test("and each refusal", async () => {
    using bus = await secureBus("herald", "reader");
    await using server = await bus.serve();
    const story = await storyOf(server.url);
    const refused = async (what: string, body?: unknown, asking?: Question): Promise<Json> => {
      const answer = await story.ask(what, body, asking);
      assert.equal(answer.ok, false, what);
      return answer;
    };
    assert.equal((await refused("POST /send", { channel: "c" })).code, "invalid");
    assert.equal((await refused("POST /send", "no JSON")).code, "invalid");
    const message = { channel: "c", sender: "herald", content: "x" };
    assert.equal((await refused("POST /send", message)).reason, "unsigned_message");
    assert.equal((await refused("POST /send", { ...message, content: "x".repeat(2 ** 20 + 1) })).reason, "too_large");
    assert.equal((await refused("POST /send", "x".repeat(7 * 2 ** 20))).reason, "too_large");
    assert.equal((await refused("POST /reset")).reason, "unauthenticated");
    assert.equal((await refused("GET /peers/bac-000000")).code, "not_found");
    const { stdout } = await expectSuccess(bus.run("token", "herald", "--key", bus.file("herald.key")));
    const headers = { Authorization: `Bearer ${stdout.trim()}` };
    assert.equal((await refused("GET /mailboxes/reader", undefined, { headers })).reason, "not_yours");
    const bad = { headers: { Authorization: "Bearer a.b.c" } };
    assert.equal((await refused("GET /channels", undefined, bad)).reason, "invalid_token");
    await story.ask("POST /peers/connect", { role: "orchestrator" }, { headers });
    assert.equal((await refused("POST /peers/connect", { role: "orchestrator" }, { headers })).code, "conflict");
  });
});

/** A validator of OpenAPI documents, found where DASHBOARD_TOOLS says; what else tests need once lies there, too. */
async function findValidator(): Promise<(new () => { validate(document: unknown): Promise<Json> }) | undefined> {
  const require = createRequire(join(process.env.DASHBOARD_TOOLS ?? process.cwd(), "package.json"));
  try {
    return (await import(require.resolve("@seriousme/openapi-schema-validator"))).Validator;
  } catch {
    return undefined;
  }
}

const Validator = await findValidator();
if (process.env.CI !== undefined)
  assert.ok(Validator, "the validator of OpenAPI documents is where DASHBOARD_TOOLS says");
const skip = Validator === undefined && "there is no @seriousme/openapi-schema-validator where DASHBOARD_TOOLS says";

test("an independent validator accepts the document", { skip }, async () => {
  using bus = temporaryBus();
  await using server = await bus.serve();
  const { json } = await ask(server.url, "GET /openapi.json");
  const { valid, errors } = (await (Validator && new Validator().validate(json))) ?? {};
  assert.deepEqual([valid, errors], [true, undefined]);
});
