import { isLoopback } from "../../core/access.ts";
import { elapsed } from "../../core/clock.ts";
import { errorCodes, IpcError, invalid, reasons } from "../../core/errors.ts";
import { WAIT_SECONDS } from "../../core/limits.ts";
import { addressOf, addressText } from "../../core/link.ts";
import type { Operation } from "../../operations/operation.ts";
import type { Door } from "../../operations/perform.ts";
import { provesWithToken } from "../../operations/proof.ts";
import { type Answer, type Channel, openChannel } from "./channel.ts";

export interface TcpServerAt {
  /** `tcp://host:port`. */
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly token: (operation: Operation, input: Readonly<Record<string, unknown>>) => Promise<string | undefined>;
}

const BROKER_PORT = 19_901;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** The door to a bus behind a server: the same operations, asked as lines of JSON over one connection. */
export function tcpDoor(server: TcpServerAt): Door & AsyncDisposable {
  const address = addressOf(server.url.replace(/^tcp:\/\//, "").replace(/\/$/, ""), BROKER_PORT);
  const local = isLoopback(address.host);
  let channel: Promise<Channel> | undefined;
  let reached = false;

  const connected = async (): Promise<Channel> => {
    channel ??= openChannel(address);
    try {
      const open = await channel;
      reached = true;
      open.closed.then(() => {
        channel = undefined;
      });
      return open;
    } catch (error) {
      channel = undefined;
      throw error;
    }
  };

  const credential = async (operation: Operation, input: Readonly<Record<string, unknown>>) => {
    const token = provesWithToken(operation, input) ? await server.token(operation, input) : undefined;
    if (token !== undefined && !local) {
      throw invalid(`a token is sent to this machine, or over https, and not to ${addressText(address)}`);
    }
    return token ?? server.apiKey;
  };

  const request = async (operation: Operation, input: Readonly<Record<string, unknown>>) => {
    const told = Object.entries(input).filter(([name]) => !operation.input[name]?.callerOnly);
    const token = await credential(operation, input);
    return { ask: operation.name, input: Object.fromEntries(told), ...(token === undefined ? {} : { token }) };
  };

  const once = async (operation: Operation, input: Readonly<Record<string, unknown>>, signal: AbortSignal) => {
    const open = await connected();
    const [answer] = await Array.fromAsync(open.ask(await request(operation, input), signal, false));
    return answer === undefined ? null : answerIn(answer).answer;
  };

  /** A wait of any length, also over a server that is away for a moment. */
  const waited = async (operation: Operation, input: Readonly<Record<string, unknown>>, signal: AbortSignal) => {
    const end = typeof input.timeout === "number" ? elapsed() + input.timeout * 1_000 : Number.POSITIVE_INFINITY;
    let pause = FIRST_PAUSE_MS;
    for (;;) {
      const timeout = Math.min(Math.max(0, (end - elapsed()) / 1_000), WAIT_SECONDS);
      try {
        const answer = await once(operation, { ...input, timeout }, signal);
        pause = FIRST_PAUSE_MS;
        const nothing = answer === null || operation.nothing?.(answer, input);
        if (!nothing || elapsed() >= end || signal.aborted) return answer;
      } catch (error) {
        if (signal.aborted) return operation.nothing === undefined ? null : [];
        if (!reached || !isPassing(error) || elapsed() >= end) throw error;
        await sleep(pause, signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  };

  /** After a break it goes on behind the last answer that came. */
  async function* streamed(operation: Operation, asked: Readonly<Record<string, unknown>>, signal: AbortSignal) {
    let input = asked;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        const open = await connected();
        for await (const line of open.ask(await request(operation, input), signal, true)) {
          const { next, end } = answerIn(line);
          if (end) break;
          pause = FIRST_PAUSE_MS;
          yield next;
          if (typeof next === "object" && next !== null && "id" in next) input = { ...input, since: next.id };
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!reached || !isPassing(error)) throw error;
      }
      await sleep(pause, signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  const door: Door = async (operation, input, signal) => {
    if (operation.http === undefined) {
      throw invalid(`${operation.name} works on the database itself: leave out --url and IPC_URL`);
    }
    const asked: Readonly<Record<string, unknown>> = Object(input);
    if (operation.stream) return streamed(operation, asked, signal);
    return operation.waits?.(asked) ? waited(operation, asked, signal) : once(operation, asked, signal);
  };
  return Object.assign(door, {
    async [Symbol.asyncDispose]() {
      (await channel?.catch(() => undefined))?.close();
    },
  });
}

/** What the server on a port calls itself, if it is a broker; `a broker` where that is all that it says. */
export async function brokerAt(host: string, port: number): Promise<string | undefined> {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  try {
    const channel = await openChannel({ host: reachable, port });
    try {
      for await (const { info, server } of channel.ask({ op: "status" }, AbortSignal.timeout(2_000), false)) {
        if (typeof server === "string") return server;
        return info === "agent-tool-ipc-broker" ? "a broker" : undefined;
      }
    } finally {
      channel.close();
    }
  } catch {
    // Whatever it is, it is none.
  }
  return undefined;
}

function isPassing(error: unknown): boolean {
  return error instanceof IpcError && error.reason === "busy";
}

function answerIn(line: Answer): Answer {
  if (line.ok === true) return line;
  const code = errorCodes.find((known) => known === line.code) ?? "internal";
  const sentence = typeof line.error === "string" ? line.error : "The server answers in another way than el-ipc";
  const hint = sentence === "unauthorized" ? ": set IPC_API_KEY to the server's key" : "";
  throw new IpcError(
    code,
    sentence + hint,
    reasons.find((known) => known === line.reason),
  );
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds * (0.5 + Math.random()));
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}
