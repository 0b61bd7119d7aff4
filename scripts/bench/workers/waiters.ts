// Thousands of connections that all wait for one message: long-polls, server-sent events, or a neighbour's equivalent.
import { connect } from "node:net";
import { connectPacket, subscribePacket } from "../neighbours/mosquitto.ts";
import { encodeCommand } from "../neighbours/redis.ts";
import { answerLines, taskText } from "./rounds.ts";

export interface WaitersTask {
  readonly kind: "long-poll" | "sse" | "redis" | "nats" | "mosquitto";
  readonly port: number;
  readonly count: number;
  /** The text of the message, which nothing else that a server writes contains. */
  readonly text: string;
  /** Each waits for a channel of its own. */
  readonly apart?: boolean;
}

/** Connections opened at once: more would overrun a server's backlog. */
const AT_ONCE = 64;

const task: WaitersTask = JSON.parse(taskText());
const wanted = Buffer.from(task.text);
const arrivals: number[] = [];
let lost = 0;
let allThere: () => void = () => {};
const complete = new Promise<void>((resolve) => {
  allThere = resolve;
});

let opened = 0;
while (opened < task.count) {
  const batch = Math.min(AT_ONCE, task.count - opened);
  await Promise.all(Array.from({ length: batch }, (_, index) => open(opened + index)));
  opened += batch;
}

await answerLines(async () => {
  await complete;
  return { arrivals, lost };
});

/** Opens one; done when the server is known to have it waiting, or as near to that as its protocol tells. */
function open(index: number): Promise<void> {
  const steps = greeting(index);
  return new Promise((resolve, reject) => {
    const socket = connect({ port: task.port, host: "127.0.0.1", noDelay: true });
    let arrived = false;
    const proceed = (): void => {
      const step = steps.shift();
      if (step === undefined) return;
      socket.write(step.write);
      if (!step.answered) resolve();
    };
    socket.on("connect", proceed);
    socket.on("data", (chunk: Buffer) => {
      if (steps.length > 0) return proceed();
      resolve();
      if (arrived || chunk.indexOf(wanted) === -1) return;
      arrived = true;
      count();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      if (arrived) return;
      lost++;
      count();
    });
  });
}

function count(): void {
  arrivals.push(monotonicMs());
  if (arrivals.length === task.count) allThere();
}

/** A clock that all processes of this machine share. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

interface Step {
  readonly write: string | Buffer;
  /** The server says something to this before the message comes. */
  readonly answered: boolean;
}

function greeting(index: number): Step[] {
  const agent = `waiter-${index}`;
  const channel = task.apart ? `fan-${index}` : "fan";
  switch (task.kind) {
    case "long-poll":
      return [{ write: get(`/messages?channel=${channel}&agent=${agent}&wait=true&timeout=300`), answered: false }];
    case "sse":
      return [{ write: get(`/follow?channel=${channel}&agent=${agent}`), answered: true }];
    case "redis":
      return [{ write: encodeCommand(["XREAD", "BLOCK", "0", "STREAMS", "fan", "$"]), answered: false }];
    case "nats":
      // The server greets first, so its greeting is awaited by asking for one more answer.
      return [
        { write: 'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n', answered: true },
        { write: "SUB fan 1\r\nPING\r\n", answered: true },
      ];
    case "mosquitto":
      return [
        { write: connectPacket(agent), answered: true },
        { write: subscribePacket("fan", 1), answered: true },
      ];
  }
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${task.port}\r\n\r\n`;
}
