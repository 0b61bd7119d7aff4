import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Caller } from "../../core/access.ts";
import { conflict, errorAnswer, invalid, isIpcError } from "../../core/errors.ts";
import { createSerialQueue } from "../../core/serial.ts";
import { postMail } from "../../operations/mailboxes.ts";
import { parseRequest } from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { showPresence } from "../../operations/sessions.ts";
import type { Connections } from "../../server/connections.ts";
import {
  type Conversation,
  createConversation,
  findRequest,
  type Reply,
  type Slot,
} from "../../server/conversation.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import { decodeFrame, type Frame } from "../../wire/frames.ts";
import { answerFrame } from "./frames.ts";
import { createReceipts, deliverMailbox, type Receipts } from "./mailbox.ts";
import { createRegistration, type Names, type Registration } from "./names.ts";
import { type Arrivals, createNotices, type Notices } from "./notices.ts";
import { createFrameSocket, type FrameSocket } from "./socket.ts";

export interface Hub extends ExposedBus {
  readonly connections: Connections;
  readonly names: Names;
  readonly arrivals: Arrivals;
  readonly reportFault: (error: unknown) => void;
}

/** How long the client may take to close in return. */
const CLOSING_MS = 2_000;

const GOING_AWAY = 1001;
const TRY_AGAIN = 1013;

interface Connection {
  readonly hub: Hub;
  readonly caller: Caller;
  readonly endpoint: Endpoint;
  readonly frames: FrameSocket;
  readonly conversation: Conversation;
  readonly registration: Registration;
  readonly receipts: Receipts;
  readonly notices: Notices;
  drop(): void;
}

/** Serves one connection. Resolves when it has closed and all its requests are answered and followed up. */
export async function serveConnection(
  socket: WebSocket,
  raw: Duplex,
  caller: Caller,
  hub: Hub,
  signal: AbortSignal,
): Promise<void> {
  const frames = createFrameSocket(socket, raw, () => conversation.keepPace());
  const conversation: Conversation = createConversation(
    {
      ...frames,
      isReading: frames.isOpen,
      refuse: () => socket.close(TRY_AGAIN, "too many large messages are on their way"),
      onIdle: () => {},
    },
    hub,
  );
  const { signal: ended } = conversation;
  const endpoint = hub.endpointFor(caller);
  const drop = () => socket.terminate();
  const registration = createRegistration({
    ...hub,
    context: { caller, signal: ended },
    holder: { socket: frames, drop },
  });
  const receipts = createReceipts();
  const notices = createNotices(hub.connections, ended, hub.arrivals);
  const answer = createAnswering({
    hub,
    caller,
    endpoint,
    frames,
    conversation,
    registration,
    receipts,
    notices,
    drop,
  });

  const dropSoon = () => setTimeout(drop, CLOSING_MS).unref();
  const goAway = () => {
    socket.close(GOING_AWAY, "the server stops, or the token has run out");
    dropSoon();
  };
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    answer(data.length, isBinary ? undefined : decodeFrame(data.toString()));
    conversation.keepPace();
  });
  raw.on("data", conversation.keepPace);
  // The package sends the reason; a client that doesn't read it is cut off.
  socket.on("error", dropSoon);
  if (signal.aborted) goAway();
  else signal.addEventListener("abort", goAway, { once: true });

  await new Promise((resolve) => socket.once("close", resolve));
  signal.removeEventListener("abort", goAway);
  receipts.stop();
  notices.stop();
  conversation.close();
  await conversation.done;
  await registration.end();
}

/** Answers the frames of a connection. Each waits for earlier frames that register a name. */
function createAnswering(connection: Connection): (bytes: number, frame: Frame | undefined) => void {
  const { conversation, frames } = connection;
  const afterRegistration = createSerialQueue();

  const act = async (frame: Frame | undefined, reply: Reply, slot: Slot): Promise<void> => {
    if (frame === undefined) throw invalid("a frame is one JSON object");
    if (frame.type === "register") return await afterRegistration(() => register(connection, frame));
    await afterRegistration(async () => {});
    const handler = Object.hasOwn(handlers, String(frame.type)) ? handlers[String(frame.type)] : undefined;
    if (handler === undefined) {
      throw invalid(`unknown type (use: ${["register", ...Object.keys(handlers)].join(", ")})`);
    }
    await handler(connection, frame, reply, slot);
  };

  return (bytes, frame) => {
    const reply = createReply(frames, frame?.id);
    void conversation.handle(bytes, reply, (slot) => act(frame, reply, slot));
  };
}

function createReply(frames: FrameSocket, id: unknown): Reply {
  return {
    async write(body) {
      frames.send(answerFrame(id, body));
      await frames.flows();
      return frames.isOpen();
    },
    hasArrived: () => frames.confirm(),
  };
}

async function register(connection: Connection, { agent, ack }: Frame): Promise<void> {
  const { frames, registration, conversation } = connection;
  if (typeof agent !== "string") throw invalid("agent is required: {type: register, agent: NAME}");
  if (registration.name === agent) return frames.send({ type: "registered", agent });
  refuseOtherName(registration, agent);
  const unread = await registration.begin(agent);
  if (unread === undefined) return;
  frames.send({ type: "registered", agent, unread });
  conversation.join(deliverOwnMailbox(connection, agent, ack === "manual"));
}

async function deliverOwnMailbox(connection: Connection, mailbox: string, isManual: boolean): Promise<void> {
  const { hub, endpoint, conversation, frames, receipts, drop } = connection;
  const { signal } = conversation;
  const hasReceived = isManual ? receipts.hasReceived : () => frames.confirm();
  const onConsumed = (ids: readonly number[]) => {
    ids.forEach(hub.arrivals.announce);
    if (isManual) frames.send({ type: "settled", ids });
  };
  try {
    await deliverMailbox({ deliver: hub.deliver, endpoint, signal, socket: frames, mailbox, hasReceived, onConsumed });
  } catch (error) {
    frames.send(answerFrame(undefined, errorAnswer(error)));
    if (!isIpcError(error)) hub.reportFault(error);
  }
  // Other receivers are offered the unacknowledged messages now.
  drop();
}

type Handler = (connection: Connection, frame: Frame, reply: Reply, slot: Slot) => Promise<void> | void;

/** Handles frames by their type. */
const handlers: Readonly<Record<string, Handler>> = {
  async message({ hub, caller, endpoint, conversation, frames, registration, notices }, frame) {
    const { type: _, id, from, to, message, timestamp: __, ...signed } = frame;
    if (from !== undefined) refuseOtherName(registration, from);
    const sender = from ?? registration.name ?? caller.identity?.agent;
    const post = parseRequest(postMail, { ...signed, to, from: sender, message });
    const { id: message_id } = await endpoint.ask(post, conversation.signal);
    const recipient = post.input.to;
    frames.send({ type: "stored", id, message_id, connected: hub.names.has(recipient) });
    notices.expect(recipient, message_id, () => frames.send({ type: "delivered", id, message_id }));
  },

  received({ receipts }, { id, ids }) {
    receipts.note(Array.isArray(ids) ? ids : [id]);
  },

  async ping({ endpoint, conversation, frames }, { agent, id }) {
    const pong = { type: "pong", id, timestamp: new Date().toISOString() };
    if (agent === undefined) return frames.send(pong);
    const presence = parseRequest(showPresence, { name: agent });
    const { online, last_seen } = await endpoint.ask(presence, conversation.signal);
    frames.send({ ...pong, agent, online, last_seen });
  },

  ask({ hub, endpoint, conversation }, { ask, input }, reply, slot) {
    const request = findRequest(hub.verbs, ask, input);
    return conversation.answer({ request, body: (answer) => ({ answer }) }, endpoint, reply, slot);
  },
};

function refuseOtherName({ name }: Registration, other: unknown): void {
  if (name !== undefined && name !== other) throw conflict(`this connection is ${name}`);
}
