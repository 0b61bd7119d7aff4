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
  tcpPortOf,
  temporaryBus,
  textIn,
} from "./support/bus.ts";
import { ask, openAnswer } from "./support/http.ts";
import { modelSurface } from "./support/mcp.ts";
import { type Server, waitUntil } from "./support/program.ts";
import { askLine, connectLines, connectWebSocket, type Frame } from "./support/sockets.ts";

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

/** The story's steps, as each surface takes them. A refusal by the bus is an Error with its sentence. */
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
  /** Puts a letter into a mailbox. */
  post(to: string, from: string, text: string): Promise<void>;
  /** Empties a mailbox: from whom, and what. */
  fetch(mailbox: string): Promise<readonly Letter[]>;
}

type Letter = readonly [from: string, text: string];

interface Surface {
  readonly name: string;
  readonly open: (bus: TemporaryBus, server: Server) => Driver;
  /** A part of the refusal of a client without a key. */
  readonly refusal?: RegExp;
  /** Readers on this surface keep their own position. */
  readonly ownPlace?: true;
}

const surfaces: readonly Surface[] = [
  { name: "the command line", open: (bus) => commandLine(bus) },
  {
    name: "the command line against a server",
    open: (bus, server) => commandLine(bus.with({ IPC_URL: server.url, IPC_DB_PATH: "/nonexistent/bus.db" })),
  },
  { name: "HTTP", open: (_, server) => http(server) },
  { name: "server-sent events", open: (_, server) => serverSentEvents(server) },
  { name: "WebSocket", open: (_, server) => webSocket(server) },
  { name: "TCP", open: (_, server) => tcp(server) },
  {
    name: "MCP",
    // A model has no tool for this, so its user asks elsewhere.
    open: (bus, server) => ({ ...http(server), ...modelSurface(bus, server, () => tcpPort(server)) }),
    refusal: /^Refused: secure mode is on\. .*IPC_AGENT .*IPC_KEY/,
    ownPlace: true,
  },
];

const serveAll = (bus: TemporaryBus) => bus.serve({}, "--tcp", "0");

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
    post: (to, from, text) => answer("post", to, text, "--from", from),
    fetch: async (mailbox) => lettersIn(await answer("fetch", mailbox)),
  };
}

function lettersIn(answer: unknown): readonly Letter[] {
  return messagesOf(Object(answer).messages).map(({ sender, content }) => [sender, content]);
}

function http({ url }: Server): Driver {
  const answer = async <T>(what: string, body?: unknown): Promise<T> => {
    const { status, text } = await ask(url, what, { body });
    const said = JSON.parse(text);
    if (status !== 200) throw new Error(said.error);
    return said;
  };
  const query = (channel: string, agent: string) =>
    `channel=${encodeURIComponent(channel)}&agent=${encodeURIComponent(agent)}`;
  return {
    async send({ key, ...message }) {
      const { channel, sender, content } = message;
      const signature = key && signedWith(key, `${channel}\n${sender}\n${content}`);
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
    post: (to, from, message) => answer(`POST /mailboxes/${encodeURIComponent(to)}`, { from, message }),
    fetch: async (mailbox) => lettersIn(await answer(`GET /mailboxes/${encodeURIComponent(mailbox)}/fetch`)),
  };
}

/** Reads by the stream that HTTP has, and acknowledges what came. */
function serverSentEvents(server: Server): Driver {
  const driver = http(server);
  const take = async (channel: string, agent: string, count: number) => {
    const query = `channel=${encodeURIComponent(channel)}&agent=${encodeURIComponent(agent)}`;
    const came: unknown[] = [];
    if (count === 0) return messagesOf(came);
    const controller = new AbortController();
    const stream = await openAnswer(server.url, `GET /follow?${query}`, { signal: controller.signal });
    let text = "";
    try {
      for await (const chunk of stream.setEncoding("utf8")) {
        text += chunk;
        const events = text.split("\n\n");
        text = events.pop() ?? "";
        for (const event of events) {
          const data = /^data: ?(.*)$/m.exec(event)?.[1];
          if (data !== undefined) came.push(JSON.parse(data));
        }
        if (came.length >= count) return messagesOf(came);
      }
      throw new Error("the stream has ended");
    } finally {
      stream.on("error", () => {});
      controller.abort();
    }
  };
  const consume = async (channel: string, agent: string, count: number) => {
    const messages = await take(channel, agent, count);
    const last = messages.at(-1);
    if (last !== undefined) await driver.acknowledge(channel, agent, last.id);
    return messages;
  };
  const pending = async (channel: string, agent: string) => (await driver.health(channel, agent)).pending;
  return {
    ...driver,
    read: async (channel, agent) => consume(channel, agent, await pending(channel, agent)),
    look: async (channel, agent) => take(channel, agent, await pending(channel, agent)),
    wait: (channel, agent) => consume(channel, agent, 1),
  };
}

/** Where everything is asked by its verb. */
function asking(ask: (verb: string, input: object) => Promise<unknown>): Omit<Driver, "post" | "fetch"> {
  const answer = async <T>(verb: string, input: object = {}): Promise<T> => (await ask(verb, input)) as T;
  return {
    async send({ key, ...message }) {
      const { channel, sender, content } = message;
      const signature = key && signedWith(key, `${channel}\n${sender}\n${content}`);
      return (await answer<{ id: number }>("send", { ...message, signature })).id;
    },
    read: async (channel, agent) => messagesOf(await ask("read", { channel, agent })),
    look: async (channel, agent) => messagesOf(await ask("read", { channel, agent, peek: true })),
    wait: async (channel, agent) => messagesOf(await ask("read", { channel, agent, wait: true, timeout: 20 })),
    async acknowledge(channel, agent, id) {
      return (await answer<{ watermark: number }>("ack", { channel, agent, id })).watermark;
    },
    channels: () => answer("channels"),
    agents: () => answer("agents"),
    health: (channel, agent) => answer("health", { channel, agent }),
    card: () => answer("agent-card"),
    async register({ name, publicKey, operator, operatorKey }) {
      const [public_key, operator_key] = [textIn(publicKey), textIn(operatorKey)];
      await ask("register", { name, public_key, operator, operator_key });
    },
  };
}

/** Mailboxes as the original's clients have them. */
function tcp(server: Server): Driver {
  const answer = async (request: object) => {
    const said = await askLine(await tcpPort(server), request);
    if (said.ok !== true) throw new Error(String(said.error));
    return said;
  };
  return {
    ...asking((ask, input) => overTcp(server, ask, input)),
    async post(to, from, msg) {
      await answer({ op: "post", to, from, msg });
    },
    async fetch(mailbox) {
      const { messages } = await answer({ op: "fetch", mailbox });
      return Object(messages).map(({ from, msg }: Frame): Letter => [String(from), String(msg)]);
    },
  };
}

/** Mailboxes as the original's frames have them: who connects under a name gets what waits there. */
function webSocket(server: Server): Driver {
  return {
    ...asking((ask, input) => overWebSocket(server, ask, input)),
    async post(to, from, message) {
      using socket = await connectWebSocket(server.port);
      socket.say({ type: "message", id: 1, to, from, message });
      await socket.nextOf("stored");
    },
    async fetch(mailbox) {
      using socket = await connectWebSocket(server.port);
      socket.say({ type: "register", agent: mailbox });
      const { unread } = await socket.nextOf("registered");
      const letters: Letter[] = [];
      while (letters.length < Number(unread)) {
        const { from, message } = await socket.nextOf("message");
        letters.push([String(from), String(message)]);
      }
      socket.say({ type: "ping" });
      await socket.nextOf("pong");
      return letters;
    },
  };
}

async function tcpPort(server: Server): Promise<number> {
  return tcpPortOf(server);
}

async function overTcp(server: Server, ask: string, input: object): Promise<unknown> {
  using line = await connectLines(await tcpPort(server));
  line.say({ id: 1, ask, input });
  return answerIn(await line.next());
}

async function overWebSocket(server: Server, ask: string, input: object): Promise<unknown> {
  using socket = await connectWebSocket(server.port);
  socket.say({ type: "ask", id: 1, ask, input });
  const answer = answerIn(await socket.next());
  // An answer is settled once the ping behind it has been answered, so a second question follows that.
  socket.say({ type: "ping" });
  await socket.nextOf("pong");
  return answer;
}

function answerIn({ ok, answer, error }: Frame): unknown {
  if (ok === true) return answer;
  throw new Error(String(error));
}

function signedWith(key: string, text: string): string {
  return sign(null, Buffer.from(text), createPrivateKey(textIn(key))).toString("base64");
}

suite("every surface tells the same story", { concurrency: true }, () => {
  for (const { name, open, refusal } of surfaces) {
    test(`in open mode: ${name}`, async () => {
      using bus = temporaryBus();
      await using server = await serveAll(bus);
      const driver = open(bus, server);
      await openMode(driver);
    });

    test(`in secure mode: ${name}`, async () => {
      using bus = temporaryBus();
      await using server = await serveAll(bus);
      await secureMode(bus, open(bus, server), refusal);
    });
  }

  test("across them: each reads what the others send, and each wakes the others", async () => {
    using bus = temporaryBus();
    await using server = await serveAll(bus);
    const drivers = surfaces.map(({ open, ...surface }) => ({ ...surface, driver: open(bus, server) }));
    for (const { name, driver } of drivers) {
      const waiting = drivers.map((other) => other.driver.wait("news", other.name));
      await waitUntil(async () => (await openRequests(server)) >= REMOTE_WAITERS, "the waiters");
      await driver.send({ channel: "news", sender: name, content: `from ${name}` });
      for (const messages of await Promise.all(waiting)) assert.deepEqual(contentsOf(messages), [`from ${name}`]);
    }
    for (const { name, driver, ownPlace } of drivers) {
      assert.deepEqual(
        (await driver.read("news", "somebody")).map(({ sender }) => sender),
        name === drivers[0]?.name || ownPlace ? drivers.map((one) => one.name) : [],
        "they share a watermark",
      );
    }
  });

  test("across them: each empties a mailbox that all of them have posted to", async () => {
    using bus = temporaryBus();
    await using server = await serveAll(bus);
    const drivers = surfaces.map(({ name, open }) => ({ name, driver: open(bus, server) }));
    for (const { name, driver } of drivers) {
      for (const one of drivers) await one.driver.post(`for ${name}`, one.name, `from ${one.name}`);
      const letters = await driver.fetch(`for ${name}`);
      assert.deepEqual(
        letters,
        drivers.map((one) => [one.name, `from ${one.name}`]),
      );
    }
    for (const { driver } of drivers) assert.deepEqual(await driver.fetch(`for ${drivers[0]?.name}`), []);
  });
});

/** Of the waiters across surfaces, those that a server counts: not the command line's own, and not those over TCP. */
const REMOTE_WAITERS = surfaces.length - 2;

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

  await bus.post("keeper", "herald", content);
  await bus.post("keeper", "reader", "two");
  assert.deepEqual(await bus.fetch("keeper"), [
    ["herald", content],
    ["reader", "two"],
  ]);
  assert.deepEqual(await bus.fetch("keeper"), []);
}

async function secureMode(bus: TemporaryBus, driver: Driver, refusal?: RegExp): Promise<void> {
  const message = { channel: "ops", sender: "herald", content: "signed ü" };
  await driver.send({ ...message, content: "before" });
  bus.place("ops.key", (await bus.run("seed", "ops")).stdout);
  for (const name of ["herald", "mallory"]) placeKeys(bus, name);
  const key = bus.file("herald.key");

  const refused = (message: string | RegExp) => ({ message: refusal ?? message });
  await assert.rejects(driver.send(message), refused("signature required (secure mode active)"));
  await assert.rejects(driver.send({ ...message, key }), refused("unknown sender: herald"));
  const herald = { name: "herald", publicKey: bus.file("herald.pub"), operator: "ops" };
  await assert.rejects(driver.register({ ...herald, operatorKey: bus.file("mallory.key") }), /verification failed/);
  await driver.register({ ...herald, operatorKey: bus.file("ops.key") });
  await assert.rejects(driver.send({ ...message, key: bus.file("mallory.key") }), refused(/^invalid signature/));
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
