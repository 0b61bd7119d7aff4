import { MAX_WAIT_SECONDS } from "../core/limits.ts";
import { formatAddress, parseAddress } from "../core/link.ts";
import { content, optional, seconds, text, whole } from "./fields.ts";
import { defineStoreless } from "./operation.ts";

export const RECEIVE_PORT = 19_900;

const RECEIVE_SECONDS = 60;
const ANSWER_SECONDS = 10;

const host = text("The listener, as host:port (port 19900)");

const answerTime = optional(seconds("Give up after this many seconds (10; 300 at most)"));

function within(timeout: number | undefined, fallback: number, signal: AbortSignal) {
  return { milliseconds: Math.min(timeout || fallback, MAX_WAIT_SECONDS) * 1_000, signal };
}

export const sendTcp = defineStoreless({
  name: "tcp send",
  summary: "Send a text straight to a listener at an address, without a bus",
  details: [
    "It is delivered once the other end has printed it. If nobody listens yet, it waits until the timeout.",
    "It is neither stored nor signed: for that, use `post`.",
  ].join("\n"),
  examples: ['el-ipc tcp send localhost:19900 "main is green"', "git diff | el-ipc tcp send 192.168.0.7:19900 -"],
  access: { level: "anyone" },
  storeless: true,
  input: {
    fields: { host, message: content("The text; - reads it from standard input"), timeout: answerTime },
    positionals: ["host", "message"],
  },
  run: async (bus, { host, message, timeout }, { signal }) => {
    const address = parseAddress(host, RECEIVE_PORT);
    await bus.link.send(address, message, within(timeout, ANSWER_SECONDS, signal));
    return { ok: true, ...address };
  },
  output: { text: (address) => `Delivered to ${formatAddress(address)}` },
});

export const pingTcp = defineStoreless({
  name: "tcp ping",
  summary: "Measure how long a listener at an address takes to answer",
  examples: ["el-ipc tcp ping localhost:19900"],
  access: { level: "anyone" },
  storeless: true,
  input: { fields: { host, timeout: answerTime }, positionals: ["host"] },
  run: async (bus, { host, timeout }, { signal }) => {
    const address = parseAddress(host, RECEIVE_PORT);
    const milliseconds = await bus.link.ping(address, within(timeout, ANSWER_SECONDS, signal));
    return { ok: true, ...address, ms: Math.round(milliseconds * 1_000) / 1_000 };
  },
  output: { text: ({ ms, ...address }) => `Pong from ${formatAddress(address)} in ${ms} ms` },
});

export const receiveTcp = defineStoreless({
  name: "tcp receive",
  summary: "Listen on a port for one text, and print it",
  details: "Answers pings meanwhile. Listens on this machine only, unless --bind names another address.",
  examples: ["el-ipc tcp receive", "el-ipc tcp receive 19900 --timeout 120", "el-ipc tcp receive --bind 0.0.0.0"],
  access: { level: "anyone" },
  storeless: true,
  input: {
    fields: {
      port: optional(whole("Where to listen (19900)", { min: 1, max: 65_535 })),
      timeout: optional(seconds("Wait at most this many seconds (60; 300 at most)")),
      bind: optional(text("The address to listen on (127.0.0.1); 0.0.0.0 for all")),
    },
    positionals: ["port"],
  },
  run: async (bus, { port = RECEIVE_PORT, timeout, bind = "127.0.0.1" }, { signal }) => {
    const received = await bus.link.receive({ host: bind, port }, within(timeout, RECEIVE_SECONDS, signal));
    if (received === undefined) return null;
    return { ok: true, message: received.text, from: received.from, receipt: received.receipt };
  },
  waits: { isWaiting: () => true },
  after: {
    delivered: async (bus, answer) => {
      if (answer !== null) await bus.link.settle(answer.receipt, true);
    },
    lost: async (bus, answer) => {
      if (answer !== null) await bus.link.settle(answer.receipt, false);
    },
  },
  output: {
    text: (answer) => (answer === null ? "" : answer.message),
    failure: (answer) => (answer === null ? "No message came in that time" : undefined),
  },
});

export const tcpOperations = [sendTcp, receiveTcp, pingTcp] as const;
