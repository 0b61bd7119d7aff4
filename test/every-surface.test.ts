// One story, told through every surface and across them. Adding a surface is one row of `surfaces`.
import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { suite, test } from "node:test";
import {
  contentsOf,
  type Message,
  messagesOf,
  placeKeys,
  type TemporaryBus,
  temporaryBus,
  textIn,
} from "./support/bus.ts";
import { ask } from "./support/http.ts";
import { type Server, until } from "./support/program.ts";

interface Sending {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  /** The file of the private key to sign with. */
  readonly key?: string;
}

interface Registering {
  readonly name: string;
  readonly publicKey: string;
  readonly operator: string;
  readonly operatorKey: string;
}

/** What every surface can do, in its own way. What the bus refuses is an Error with its sentence. */
interface Driver {
  send(message: Sending): Promise<number>;
  read(channel: string, agent: string): Promise<readonly Message[]>;
  /** Leaves them unread. */
  look(channel: string, agent: string): Promise<readonly Message[]>;
  wait(channel: string, agent: string): Promise<readonly Message[]>;
  /** Answers with where the watermark then stands. */
  acknowledge(channel: string, agent: string, id: number): Promise<number>;
  channels(): Promise<readonly { channel: string; count: number }[]>;
  agents(): Promise<readonly { name: string; role: string; registered_by: string | null }[]>;
  health(channel: string, agent: string): Promise<{ status: string; pending: number; secure_mode: boolean }>;
  card(): Promise<{ name: string; did?: string }>;
  register(agent: Registering): Promise<void>;
}

const surfaces: readonly { name: string; open: (bus: TemporaryBus, server: Server) => Driver }[] = [
  { name: "the command line", open: (bus) => commandLine(bus) },
  {
    name: "the command line against a server",
    open: (bus, server) => commandLine(bus.with({ IPC_URL: server.url, IPC_DB_PATH: "/nonexistent/bus.db" })),
  },
  { name: "HTTP", open: (_, server) => http(server) },
];

function commandLine(bus: TemporaryBus): Driver {
  const answer = async <T>(...words: string[]): Promise<T> => {
    const { code, stdout, stderr } = await bus.run(...words, "--json");
    if (code !== 0) throw new Error(/^Error: (.*?)(: give --key.*)?\n/.exec(stderr)?.[1] ?? stderr);
    return JSON.parse(stdout);
  };
  return {
    async send({ channel, sender, content, key }) {
      const { id } = await answer<{ id: number }>("send", channel, sender, content, ...(key ? ["--key", key] : []));
      return id;
    },
    read: async (channel, agent) => messagesOf(await answer("read", channel, agent)),
    look: async (channel, agent) => messagesOf(await answer("read", channel, agent, "--peek")),
    wait: async (channel, agent) => messagesOf(await answer("read", channel, agent, "--wait", "--timeout", "20")),
    async acknowledge(channel, agent, id) {
      return (await answer<{ watermark: number }>("ack", channel, agent, String(id))).watermark;
    },
    channels: () => answer("channels"),
    agents: () => answer("agents"),
    health: (channel, agent) => answer("health", channel, agent),
    card: () => answer("agent-card"),
    async register({ name, publicKey, operator, operatorKey }) {
      await answer("register", name, "--pubkey", publicKey, "--as", operator, "--key", operatorKey);
    },
  };
}

function http({ url }: Server): Driver {
  const answer = async <T>(what: string, body?: unknown): Promise<T> => {
    const { status, text } = await ask(url, what, { body });
    const said = JSON.parse(text);
    if (status !== 200) throw new Error(said.error);
    return said;
  };
  const signed = (key: string, text: string) =>
    sign(null, Buffer.from(text), createPrivateKey(textIn(key))).toString("base64");
  const query = (channel: string, agent: string) =>
    `channel=${encodeURIComponent(channel)}&agent=${encodeURIComponent(agent)}`;
  return {
    async send({ key, ...message }) {
      const { channel, sender, content } = message;
      const signature = key && signed(key, `${channel}\n${sender}\n${content}`);
      return (await answer<{ id: number }>("POST /send", { ...message, signature })).id;
    },
    read: async (channel, agent) => messagesOf(await answer(`GET /messages?${query(channel, agent)}`)),
    look: async (channel, agent) => messagesOf(await answer(`GET /messages?${query(channel, agent)}&ack=manual`)),
    wait: async (channel, agent) => messagesOf(await answer(`GET /messages?${query(channel, agent)}&wait=true`)),
    async acknowledge(channel, agent, id) {
      return (await answer<{ watermark: number }>("POST /ack", { channel, agent, id })).watermark;
    },
    channels: () => answer("GET /channels"),
    agents: () => answer("GET /agents"),
    health: (channel, agent) => answer(`GET /health?${query(channel, agent)}`),
    card: () => answer("GET /.well-known/agent-card.json"),
    async register({ name, publicKey, operator, operatorKey }) {
      const [public_key, operator_key] = [textIn(publicKey), textIn(operatorKey)];
      await answer("POST /register", { name, public_key, operator, operator_key });
    },
  };
}

suite("every surface tells the same story", { concurrency: true }, () => {
  for (const { name, open } of surfaces) {
    test(`in open mode: ${name}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      const driver = open(bus, server);
      await openMode(driver);
    });

    test(`in secure mode: ${name}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      await secureMode(bus, open(bus, server));
    });
  }

  test("across them: each reads what the others send, and each wakes the others", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const drivers = surfaces.map(({ name, open }) => ({ name, driver: open(bus, server) }));
    for (const { name, driver } of drivers) {
      const waiting = drivers.map((other) => other.driver.wait("news", other.name));
      await until(async () => (await openRequests(server)) >= REMOTE_WAITERS, "the waiters");
      await driver.send({ channel: "news", sender: name, content: `from ${name}` });
      for (const messages of await Promise.all(waiting)) assert.deepEqual(contentsOf(messages), [`from ${name}`]);
    }
    for (const { name, driver } of drivers) {
      assert.deepEqual(
        (await driver.read("news", "somebody")).map(({ sender }) => sender),
        name === drivers[0]?.name ? drivers.map((one) => one.name) : [],
        "they share a watermark",
      );
    }
  });
});

/** Of the waiters across surfaces, those that a server answers. */
const REMOTE_WAITERS = surfaces.length - 1;

async function openRequests({ url }: Server): Promise<number> {
  return Number(/^el_ipc_http_open_requests (\d+)$/m.exec((await ask(url, "GET /metrics")).text)?.[1]) - 1;
}

async function openMode(bus: Driver): Promise<void> {
  assert.deepEqual(await bus.health("builds", "reader"), { status: "ok", pending: 0, secure_mode: false });
  assert.deepEqual(await bus.read("builds", "reader"), []);
  const content = 'line one\nline two: "quoted", ü, 🎉, \u001b[31m';
  const first = await bus.send({ channel: "builds", sender: "herald", content });
  const second = await bus.send({ channel: "builds", sender: "herald", content: "two" });
  assert.ok(second > first);
  assert.deepEqual(await bus.health("builds", "reader"), { status: "ok", pending: 2, secure_mode: false });

  const [message] = await bus.look("builds", "reader");
  assert.deepEqual({ ...message, timestamp: 0 }, { id: first, sender: "herald", content, timestamp: 0 });
  assert.equal(await bus.acknowledge("builds", "reader", first), first);
  assert.equal(await bus.acknowledge("builds", "reader", 0), first);
  assert.deepEqual(contentsOf(await bus.read("builds", "reader")), ["two"]);
  assert.deepEqual(await bus.read("builds", "reader"), []);
  assert.deepEqual(contentsOf(await bus.read("builds", "herald")), [content, "two"]);

  const waiting = bus.wait("replies", "herald");
  await bus.send({ channel: "replies", sender: "reader", content: "thanks" });
  assert.deepEqual(contentsOf(await waiting), ["thanks"]);
  assert.deepEqual(await bus.read("replies", "herald"), []);

  const channels = (await bus.channels()).map(({ channel, count }) => [channel, count]);
  assert.deepEqual(channels, [
    ["replies", 1],
    ["builds", 2],
  ]);
  assert.deepEqual(await bus.agents(), []);
  assert.equal((await bus.card()).did, undefined);
  await assert.rejects(bus.send({ channel: "a\nb", sender: "x", content: "y" }), {
    message: "channel must not contain control characters",
  });
}

async function secureMode(bus: TemporaryBus, driver: Driver): Promise<void> {
  const message = { channel: "ops", sender: "herald", content: "signed ü" };
  await driver.send({ ...message, content: "before" });
  bus.place("ops.key", (await bus.run("seed", "ops")).stdout);
  for (const name of ["herald", "mallory"]) placeKeys(bus, name);
  const key = bus.file("herald.key");

  await assert.rejects(driver.send(message), { message: "signature required (secure mode active)" });
  await assert.rejects(driver.send({ ...message, key }), { message: "unknown sender: herald" });
  const herald = { name: "herald", publicKey: bus.file("herald.pub"), operator: "ops" };
  await assert.rejects(driver.register({ ...herald, operatorKey: bus.file("mallory.key") }), /verification failed/);
  await driver.register({ ...herald, operatorKey: bus.file("ops.key") });
  await assert.rejects(driver.send({ ...message, key: bus.file("mallory.key") }), {
    message: /^invalid signature/,
  });
  await driver.send({ ...message, key });

  const read = await driver.read("ops", "reader");
  assert.deepEqual(
    read.map(({ content, signed }) => [content, signed ?? false]),
    [
      ["before", false],
      ["signed ü", true],
    ],
  );
  const agents = (await driver.agents()).map(({ name, role, registered_by }) => [name, role, registered_by]);
  assert.deepEqual(agents, [
    ["ops", "operator", null],
    ["herald", "agent", "ops"],
  ]);
  assert.equal((await driver.health("ops", "reader")).secure_mode, true);
  assert.match((await driver.card()).did ?? "", /^did:key:z6Mk/);
}
