import type { WebSocket } from "ws";
import type { Caller } from "../../core/access.ts";
import { conflict, invalid, isIpcError } from "../../core/errors.ts";
import { postMail } from "../../operations/mailboxes.ts";
import {
  type Context,
  hasFollowUp,
  isStream,
  isWaiting,
  type Operation,
  parseRequest,
} from "../../operations/operation.ts";
import { showPresence } from "../../operations/sessions.ts";
import type { BufferBudget } from "../../server/budget.ts";
import type { Connections } from "../../server/connections.ts";
import { createSerialQueue, type Deliver, type EndpointFor, findRequest } from "../../server/deliver.ts";
import { errorFrame, type Frame, frameIn } from "./frames.ts";
import { type Arrivals, createDeliveries, createReceipts, handOverMail } from "./mailbox.ts";
import { type Line, lineOver } from "./socket.ts";

/** What all connections of a server share. */
export interface Hub {
  readonly operations: readonly Operation[];
  readonly endpointFor: EndpointFor;
  readonly connections: Connections;
  readonly deliver: Deliver;
  readonly names: Names;
  readonly arrivals: Arrivals;
  readonly room: BufferBudget;
  readonly failed: (error: unknown) => void;
}

/** So many frames of a connection are answered at once; further ones are read when there are fewer. Waits count for themselves. */
const MAX_AT_ONCE = 256;
const MAX_WAITS = 256;
const MAX_BYTES_AT_ONCE = 8 * 1024 * 1024;

/** How often somebody who is connected is noted to be. */
const NOTE_MS = 30_000;

/** How long the other end may take to say that it closes, too. */
const CLOSING_MS = 2_000;

const GOING_AWAY = 1001;

/** Serves one connection until it ends, or the signal aborts; and what was asked on it is settled. */
export async function converse(socket: WebSocket, caller: Caller, hub: Hub, signal: AbortSignal): Promise<void> {
  const { connections, deliver, names } = hub;
  const endpoint = hub.endpointFor(caller);
  const line = lineOver(socket);
  const gone = new AbortController();
  const context: Context = { caller, signal: gone.signal };
  const deliveries = createDeliveries(connections, gone.signal, hub.arrivals);
  const receipts = createReceipts();
  const holder = { line, drop: () => socket.terminate() };
  let name: string | undefined;
  let registering: Promise<void> | undefined;
  let here: string | undefined;
  const afterOtherLarge = createSerialQueue(() => line.isOpen);
  let atOnce = 0;
  let bytesAtOnce = 0;
  let waits = 0;
  const works = new Set<Promise<void>>();
  const work = (begun: Promise<void>): void => {
    works.add(begun);
    void begun.finally(() => works.delete(begun));
  };

  const acts: Readonly<Record<string, (frame: Frame) => Promise<void> | void>> = {
    register: async ({ agent, ack }) => {
      if (typeof agent !== "string") throw invalid("agent is required: {type: register, agent: NAME}");
      if (name !== undefined && name !== agent) throw conflict(`this connection is ${name}`);
      if (name === agent) return line.send({ type: "registered", agent });
      registering = register(agent, ack === "manual");
      try {
        await registering;
      } finally {
        registering = undefined;
      }
    },

    message: async ({ type: _, id, from, to, message, timestamp: __, ...signed }) => {
      if (name !== undefined && from !== undefined && from !== name) throw conflict(`this connection is ${name}`);
      const sender = from ?? name ?? caller.identity?.agent;
      const post = parseRequest(postMail, { ...signed, to, from: sender, message });
      const posted = await endpoint.ask(post, gone.signal);
      const recipient = post.input.to;
      line.send({ type: "stored", id, message_id: posted.id, connected: names.has(recipient) });
      deliveries.expect(recipient, posted.id, () => line.send({ type: "delivered", id, message_id: posted.id }));
    },

    received: ({ id, ids }) => receipts.note(Array.isArray(ids) ? ids : [id]),

    ping: async ({ agent, id }) => {
      const said = { type: "pong", id, timestamp: new Date().toISOString() };
      if (agent === undefined) return line.send(said);
      const { online, last_seen } = await endpoint.ask(parseRequest(showPresence, { name: agent }), gone.signal);
      line.send({ ...said, agent, online, last_seen });
    },

    ask: async ({ id, ask, input }) => {
      const request = findRequest(hub.operations, ask, input);
      const { operation } = request;
      const answerIt = async () =>
        await deliver(request, context, async (answer) => {
          if (isStream(answer)) return await stream(id, answer);
          line.send({ type: "answer", id, ok: true, answer });
          return hasFollowUp(operation) ? await line.confirm() : true;
        });
      const lasts = operation.stream === true || isWaiting(request);
      if (lasts) return await asWait(answerIt);
      if (operation.access.level === "signed") return await answerIt();
      await afterOtherLarge(operation, async () => {
        await answerIt();
        await line.flowing();
      });
    },
  };

  const register = async (agent: string, manual: boolean): Promise<void> => {
    const arrived = await connections.open(agent, context);
    here = arrived.id;
    try {
      await names.claim(agent, holder);
    } catch (error) {
      await leave();
      throw error;
    }
    if (gone.signal.aborted) return await leave(agent);
    name = agent;
    line.send({ type: "registered", agent, unread: arrived.unread });
    work(handOver(agent, manual));
  };

  const stream = async (id: unknown, answers: AsyncIterable<unknown>): Promise<boolean> => {
    for await (const next of answers) {
      if (!line.isOpen) return false;
      line.send({ type: "answer", id, ok: true, next });
      await line.flowing();
    }
    line.send({ type: "answer", id, ok: true, end: true });
    return true;
  };

  /** What may last doesn't keep other frames from being read. */
  const asWait = async (act: () => Promise<void>): Promise<void> => {
    if (waits >= MAX_WAITS) throw invalid(`${MAX_WAITS} waits at once on a connection are the most`, "busy");
    waits++;
    atOnce--;
    try {
      await act();
    } finally {
      waits--;
      atOnce++;
    }
  };

  const handOver = async (mailbox: string, manual: boolean): Promise<void> => {
    const taken = manual ? receipts.of : () => line.confirm();
    try {
      const arrived = (ids: readonly number[]) => {
        ids.forEach(hub.arrivals.tell);
        if (manual) line.send({ type: "settled", ids });
      };
      await handOverMail({ endpoint, signal: gone.signal, line, mailbox, taken, arrived });
    } catch (error) {
      line.send(errorFrame(error, undefined));
      if (!isIpcError(error)) hub.failed(error);
    }
    // What was sent and not taken is on its way to somebody else.
    socket.terminate();
  };

  const hear = async (text: string): Promise<void> => {
    const frame = frameIn(text);
    const act = frame && Object.hasOwn(acts, String(frame.type)) ? acts[String(frame.type)] : undefined;
    try {
      if (frame === undefined) throw invalid("a frame is one JSON object");
      // Who it is must be known before anything is done in its name.
      while (registering !== undefined) await registering.catch(() => {});
      if (act === undefined) throw invalid(`unknown type (use: ${Object.keys(acts).join(", ")})`);
      await act(frame);
    } catch (error) {
      if (!isIpcError(error) || error.code === "internal") hub.failed(error);
      line.send(errorFrame(error, frame?.id));
    }
  };

  const keepPace = (): void => {
    if (!line.isOpen) return;
    const behind = atOnce >= MAX_AT_ONCE || bytesAtOnce >= MAX_BYTES_AT_ONCE || line.isBehind();
    if (behind && !socket.isPaused) {
      socket.pause();
      void line.flowing().then(keepPace);
    } else if (!behind && socket.isPaused) socket.resume();
  };

  const leave = async (agent = name): Promise<void> => {
    if (agent !== undefined) names.release(agent, holder);
    const id = here;
    here = undefined;
    if (id !== undefined) await connections.close(id);
  };

  /** That it still is; or that it is, where that was forgotten, as by a reset. */
  const noteHere = async (id: string): Promise<void> => {
    if ((await connections.keep(id)) || name === undefined) return;
    const arrived = await connections.open(name, context);
    if (here === id) here = arrived.id;
  };

  const note = setInterval(() => {
    if (here === undefined) return;
    noteHere(here).catch(hub.failed);
  }, NOTE_MS);
  const end = () => {
    socket.close(GOING_AWAY, "the server stops, or the token has run out");
    setTimeout(() => socket.terminate(), CLOSING_MS).unref();
  };

  const take = async (data: Buffer, binary: boolean): Promise<void> => {
    atOnce++;
    bytesAtOnce += data.length;
    keepPace();
    await hear(binary ? "" : data.toString());
    atOnce--;
    bytesAtOnce -= data.length;
    keepPace();
  };

  socket.on("message", (data: Buffer, binary: boolean) => {
    hub.room.leave(socket);
    work(take(data, binary));
  });
  // It is told why by the package itself; whoever doesn't listen is cut off.
  socket.on("error", () => setTimeout(() => socket.terminate(), CLOSING_MS).unref());
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });

  await new Promise((resolve) => socket.once("close", resolve));
  signal.removeEventListener("abort", end);
  gone.abort();
  clearInterval(note);
  receipts.stop();
  deliveries.stop();
  hub.room.leave(socket);
  await Promise.all(works);
  await leave();
}

/** Somebody who is connected under a name. */
export interface Holder {
  readonly line: Line;
  /** Ends its connection at once. */
  drop(): void;
}

export interface Names {
  /** Gives a name to a connection, or refuses while another one that has it is alive. */
  claim(name: string, holder: Holder): Promise<void>;
  release(name: string, holder: Holder): void;
  has(name: string): boolean;
}

/** How soon the one who has a name must answer when another one wants it. */
const ALIVE_MS = 2_000;

/** Whose names they are that are connected here. A broken connection that nobody has noticed yet keeps nobody out. */
export function createNames(): Names {
  const holders = new Map<string, Holder>();
  return {
    async claim(name, holder) {
      for (let other = holders.get(name); other !== undefined && other !== holder; other = holders.get(name)) {
        if (await other.line.confirm(ALIVE_MS)) throw conflict(`${name} is connected already, from elsewhere`);
        other.drop();
        if (holders.get(name) === other) holders.delete(name);
      }
      holders.set(name, holder);
    },
    release(name, holder) {
      if (holders.get(name) === holder) holders.delete(name);
    },
    has: (name) => holders.has(name),
  };
}
