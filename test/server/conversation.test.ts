import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpcError, invalid } from "../../src/core/errors.ts";
import { operations } from "../../src/operations/index.ts";
import type { AnswerTo, Operation, Request } from "../../src/operations/operation.ts";
import type { Endpoint } from "../../src/operations/perform.ts";
import { createBufferBudget } from "../../src/server/budget.ts";
import { type Conversation, createConversation, findRequest } from "../../src/server/conversation.ts";
import { createDelivery } from "../../src/server/deliver.ts";

const MAX_AT_ONCE = 256;
const verbs = new Map<string, Operation>(operations.map((operation) => [operation.name, operation]));

/** A valid input for each verb. */
const inputs: Readonly<Record<string, object>> = {
  "channel messages": { channel: "c" },
  fetch: { mailbox: "m" },
  follow: { channel: "c", agent: "a" },
  "mailbox settle": { mailbox: "m", ids: [1] },
  prune: { older_than: "1d" },
  send: { channel: "c", sender: "me", content: "x" },
  "signal set": { name: "s" },
  wait: { mailbox: "m" },
};

type Body = Readonly<Record<string, unknown>>;

/** Answers a request, in place of a bus. */
type Act = (verb: string, signal: AbortSignal) => Promise<unknown>;

/** A conversation over no connection at all: what it writes is kept, and what it asks of its wire is noted. */
function converse(act: Act, { budget = createBufferBudget() } = {}) {
  const written: Body[] = [];
  const faults: unknown[] = [];
  const wire = {
    isOpen: true,
    partialBytes: 0,
    isPaused: false,
    isFull: false,
    refusal: undefined as IpcError | undefined,
    isBehind: () => wire.isFull,
    pause() {
      wire.isPaused = true;
    },
    resume() {
      wire.isPaused = false;
    },
    refuse(error: IpcError) {
      wire.refusal = error;
    },
    onIdle: () => {},
  };
  const asFunctions = { isOpen: () => wire.isOpen, isReading: () => true, partialBytes: () => wire.partialBytes };
  const conversation: Conversation = createConversation(
    { ...wire, ...asFunctions },
    {
      deliver: createDelivery(),
      budget,
      reportFault: (error) => faults.push(error),
    },
  );
  /** Resolves once the other end has shown that it has what was written to it. */
  let proof: Promise<boolean> = Promise.resolve(true);
  const reply = {
    write: async (body: Body) => {
      written.push(body);
      return wire.isOpen;
    },
    hasArrived: () => proof,
  };
  const settled: boolean[] = [];
  const endpoint: Endpoint = {
    async ask<O extends Operation>({ operation }: Request<O>, signal: AbortSignal) {
      return (await act(operation.name, signal)) as AnswerTo<O>;
    },
    settle: async (_request, _answer, isDelivered) => void settled.push(isDelivered),
  };
  const ask = (verb: string, bytes = 100) => {
    const asked = { request: findRequest(verbs, verb, inputs[verb]), body: (answer: unknown) => ({ answer }) };
    const answered = conversation.handle(bytes, reply, (slot) => conversation.answer(asked, endpoint, reply, slot));
    conversation.keepPace();
    return answered;
  };
  return {
    conversation,
    wire,
    written,
    faults,
    settled,
    ask,
    withholdProof() {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      proof = promise;
      return resolve;
    },
  };
}

/** Answers with the verb of what is asked, when it is told to. */
function stage() {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const act: Act = async (verb) => {
    asked.push(verb);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return verb === "wait" ? null : verb;
  };
  const go = async () => {
    for (const resolve of waiting.splice(0)) resolve();
    await new Promise(setImmediate);
  };
  return { asked, act, go };
}

const aTurn = () => new Promise(setImmediate);

test("answers that may be large are made one after the other; signed requests and waits don't wait for them", async () => {
  const { asked, act, go } = stage();
  const { ask, written } = converse(act);
  for (const verb of ["channels", "agents", "send", "wait"]) void ask(verb);
  await aTurn();
  assert.deepEqual(asked, ["send", "wait", "channels"]);
  await go();
  assert.deepEqual(asked.slice(3), ["agents"]);
  await go();
  assert.deepEqual(
    written.map(({ answer }) => answer),
    ["send", null, "channels", "agents"],
  );
});

test("once a connection has closed reads are skipped, and all else is done", async () => {
  const done: string[] = [];
  const { act, go } = stage();
  const { ask, wire, conversation } = converse(async (verb, signal) => {
    if (verb === "channels") return act(verb, signal);
    done.push(verb);
    return null;
  });
  const verbs = ["channels", "channel messages", "fetch", "signal set", "prune", "mailbox settle", "mailboxes"];
  const answers = verbs.map((verb) => ask(verb));
  wire.isOpen = false;
  conversation.close();
  await aTurn();
  await go();
  await Promise.all([...answers, conversation.done]);
  assert.deepEqual(done.toSorted(), ["mailbox settle", "prune", "signal set"]);
});

test("reading stops while so many requests are being answered, and waits count apart", async () => {
  const { act, go } = stage();
  const { ask, wire, written } = converse(act);
  for (let count = 0; count < MAX_AT_ONCE; count++) void ask("wait");
  await aTurn();
  assert.equal(wire.isPaused, false);
  await ask("wait");
  assert.equal(written.at(-1)?.reason, "busy");
  for (let count = 0; count < MAX_AT_ONCE; count++) void ask("send");
  await aTurn();
  assert.equal(wire.isPaused, true);
  await go();
  assert.equal(wire.isPaused, false);
});

test("a request holds up nobody while it waits for proof that its answer arrived", async () => {
  const { ask, wire, written, settled, withholdProof } = converse(async () => ({ ok: true, messages: [] }));
  const prove = withholdProof();
  const answers = Array.from({ length: 2 * MAX_AT_ONCE }, () => ask("fetch"));
  while (written.length < answers.length) await aTurn();
  assert.equal(wire.isPaused, false, "a pause would keep the proof from being read");
  assert.deepEqual(settled, []);
  prove(true);
  await Promise.all(answers);
  assert.deepEqual(settled, Array(answers.length).fill(true));
});

test("reading stops while the other end is behind", async () => {
  const { wire, conversation } = converse(async () => null);
  wire.isFull = true;
  conversation.keepPace();
  assert.equal(wire.isPaused, true);
  wire.isFull = false;
  conversation.keepPace();
  assert.equal(wire.isPaused, false);
});

test("a spent budget pauses a connection with requests on their way, and ends one without", async () => {
  const { act, go } = stage();
  const budget = createBufferBudget(1024);
  const busy = converse(act, { budget });
  void busy.ask("send", 100_000);
  await aTurn();
  assert.equal(busy.wire.isPaused, true);
  const partial = converse(act, { budget });
  partial.wire.partialBytes = 100_000;
  partial.conversation.keepPace();
  assert.equal(partial.wire.refusal?.reason, "busy");
  partial.conversation.close();
  await go();
  assert.equal(busy.wire.isPaused, false);
});

test("a closed connection holds nothing of the budget, though its requests are still being answered", async () => {
  const { act, go } = stage();
  const budget = createBufferBudget(1024);
  const closing = converse(act, { budget });
  const answered = closing.ask("send");
  closing.wire.partialBytes = 100_000;
  closing.wire.isOpen = false;
  closing.conversation.close();
  await go();
  await Promise.all([answered, closing.conversation.done]);
  assert.ok(budget.hold({}, 65 * 1024, () => {}));
});

test("an error is the request's answer, and only a fault of ours is reported", async () => {
  const fault = new Error("ours");
  const { ask, written, faults } = converse(async (verb) => {
    throw verb === "send" ? invalid("a sentence") : fault;
  });
  await Promise.all([ask("send"), ask("channels")]);
  assert.deepEqual(written, [
    { ok: false, error: "a sentence", code: "invalid", reason: undefined },
    { ok: false, error: "Internal error", code: "internal", reason: undefined },
  ]);
  assert.deepEqual(faults, [fault]);
});

test("a server that stops ends waits and streams with an error", async () => {
  const { ask, written, conversation } = converse(async (verb, signal) => {
    const aborts = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    if (verb === "wait") return aborts.then(() => null);
    return (async function* () {
      yield "first";
      await aborts;
    })();
  });
  const answers = [ask("wait"), ask("follow")];
  await aTurn();
  assert.equal(written.at(-1)?.next, "first");
  conversation.stop();
  await Promise.all(answers);
  assert.deepEqual(
    written.slice(1).map(({ error }) => error),
    ["broker stopped while waiting", "broker stopped while waiting"],
  );
  conversation.close();
  await conversation.done;
});

test("a stream ends as such, and is left where nobody reads it", async () => {
  let isLeft = false;
  const { ask, written, wire } = converse(async () =>
    (async function* () {
      try {
        yield 1;
        wire.isOpen = false;
        yield 2;
        yield 3;
      } finally {
        isLeft = true;
      }
    })(),
  );
  await ask("follow");
  assert.deepEqual(written, [
    { ok: true, next: 1 },
    { ok: true, next: 2 },
  ]);
  assert.ok(isLeft);
});
