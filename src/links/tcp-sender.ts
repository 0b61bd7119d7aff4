import { connect, type Socket } from "node:net";
import { elapsed } from "../core/clock.ts";
import { conflict, IpcError } from "../core/errors.ts";
import { type Address, addressText, type Within } from "../core/link.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../wire/json-lines.ts";

const MOST_ANSWER_BYTES = 64 * 1024;

/** How long to wait before trying again where nobody listens. */
const PAUSE_MS = 100;

/** Sends a text, as soon as somebody listens there. */
export async function sendOver(address: Address, text: string, { milliseconds, signal }: Within): Promise<void> {
  const end = elapsed() + milliseconds;
  let nobody: NobodyThere | undefined;
  for (;;) {
    try {
      const answer = await ask(address, { type: "message", text }, { milliseconds: end - elapsed(), signal });
      if (answer.type === "taken") return;
      throw conflict(`${addressText(address)} did not take it: ${errorIn(answer)}`);
    } catch (error) {
      if (error instanceof NobodyThere) nobody = error;
      else if (!(error instanceof NoConnection)) throw error;
      if (elapsed() + PAUSE_MS >= end || signal.aborted) throw nobody ?? error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

export async function timeARoundTrip(address: Address, within: Within): Promise<number> {
  const answer = await ask(address, { type: "ping" }, within);
  if (answer.type === "pong") return answer.milliseconds;
  throw conflict(`${addressText(address)} gave no pong: ${errorIn(answer)}`);
}

class NobodyThere extends IpcError {}

/** The time was up before there was a connection. */
class NoConnection extends IpcError {}

interface Answer {
  readonly type: unknown;
  readonly error?: unknown;
  /** From the request to this. */
  readonly milliseconds: number;
}

/** One line there, one line back. */
async function ask(address: Address, value: object, { milliseconds, signal }: Within): Promise<Answer> {
  const at = addressText(address);
  const socket = connect({ ...address, noDelay: true });
  const end = elapsed() + milliseconds;
  try {
    await within(socket, end, signal, at, (resolve) => socket.once("connect", resolve));
    const asked = performance.now();
    const line = await within<Buffer>(socket, end, signal, at, (resolve, reject) => {
      const lines = createLineSplitter(MOST_ANSWER_BYTES);
      socket.on("data", (bytes: Buffer) => {
        if (!lines.push(bytes, resolve)) reject(conflict(`${at} answers in another way than el-ipc`));
      });
      socket.write(encodeLine(value));
    });
    const taken = performance.now() - asked;
    const answer = decodeLine(line);
    if (typeof answer !== "object" || answer === null || !("type" in answer)) {
      throw conflict(`${at} answers in another way than el-ipc: is that \`el-ipc tcp receive\`?`);
    }
    return { ...answer, milliseconds: taken };
  } finally {
    socket.destroy();
  }
}

type Settle<T> = (resolve: (value: T) => void, reject: (error: Error) => void) => void;

/** What comes of a connection, unless it breaks, the time is up, or nobody wants it any more. */
function within<T>(socket: Socket, end: number, signal: AbortSignal, at: string, settle: Settle<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(lateness(socket, at)), Math.max(0, end - elapsed()));
    const give = () => reject(conflict("given up"));
    const broken = (error?: Error) => reject(faultOf(at, error));
    signal.addEventListener("abort", give, { once: true });
    socket.once("error", broken).once("close", () => broken());
    const settled =
      <V>(done: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", give);
        done(value);
      };
    settle(settled(resolve), settled(reject));
  });
}

function lateness(socket: Socket, at: string): IpcError {
  const said = `${at} did not answer in that time`;
  return socket.connecting ? new NoConnection("conflict", said) : conflict(`${said}; it may still have taken it`);
}

function faultOf(at: string, error: Error | undefined): IpcError {
  const code = error !== undefined && "code" in error ? error.code : undefined;
  const [port = ""] = /\d+$/.exec(at) ?? [];
  if (code === "ECONNREFUSED") {
    return new NobodyThere("not_found", `Nobody listens at ${at}: start \`el-ipc tcp receive ${port}\` there`);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new IpcError("not_found", `There is no host of that name: ${at}`);
  const why = error === undefined ? "it closed the connection" : error.message;
  return new IpcError("conflict", `${at} gave no answer: ${why}`);
}

function errorIn({ error }: Answer): string {
  return typeof error === "string" ? error.slice(0, 200) : "it gave no reason";
}
