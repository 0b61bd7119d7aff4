import { connect, type Socket } from "node:net";
import { IpcError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import { type Address, formatAddress } from "../../core/link.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../../wire/json-lines.ts";

/** The longest answer, a batch and one more message, with everything escaped. */
const MAX_BYTES = 64 * 1024 * 1024;

/** A client's connection to a server, for any number of concurrent requests. */
export interface Channel {
  /** Yields the lines that answer a request: one, or each item of a stream. */
  ask(request: object, signal: AbortSignal, stream: boolean): AsyncGenerator<JsonObject, void, void>;
  close(): void;
  readonly closed: Promise<void>;
}

interface PendingRequest {
  readonly answers: JsonObject[];
  wake: () => void;
}

export async function openChannel(address: Address): Promise<Channel> {
  const at = formatAddress(address);
  const socket = await openSocket(address, at);
  const lines = createLineSplitter(MAX_BYTES);
  const pending = new Map<unknown, PendingRequest>();
  let lastId = 0;
  let broken: Error | undefined;

  const receive = (bytes: Buffer): void => {
    const fits = lines.push(bytes, (line) => {
      const answer = decodeLine(line);
      if (!isJsonObject(answer)) return void socket.destroy();
      // The Python original's broker repeats no id, and answers only one request.
      const request = pending.get(answer.id) ?? (answer.id === undefined ? [...pending.values()][0] : undefined);
      request?.answers.push(answer);
      request?.wake();
    });
    if (!fits) socket.destroy();
  };
  socket.on("data", receive);
  const closed = new Promise<void>((resolve) => {
    socket.once("error", (error) => {
      broken = error;
    });
    socket.once("close", () => {
      broken ??= new Error("it closed the connection");
      for (const { wake } of pending.values()) wake();
      resolve();
    });
  });

  async function* ask(request: object, signal: AbortSignal, stream: boolean): AsyncGenerator<JsonObject, void, void> {
    const id = ++lastId;
    const entry: PendingRequest = { answers: [], wake: () => {} };
    pending.set(id, entry);
    // Aborting closes the connection, so that what was being sent is offered to others at once.
    const giveUp = () => socket.destroy();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      if (signal.aborted) giveUp();
      else socket.write(encodeLine({ ...request, id }));
      for (;;) {
        for (let next = entry.answers.shift(); next !== undefined; next = entry.answers.shift()) {
          yield next;
          if (!stream) return;
        }
        if (broken !== undefined) throw unreachableError(at, broken);
        await new Promise<void>((resolve) => {
          entry.wake = resolve;
        });
      }
    } finally {
      pending.delete(id);
      signal.removeEventListener("abort", giveUp);
      if (stream) giveUp();
    }
  }

  return { ask, close: () => socket.destroySoon(), closed };
}

function openSocket(address: Address, at: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, noDelay: true, keepAlive: true });
    socket.once("error", (error) => reject(unreachableError(at, error)));
    socket.once("connect", () => {
      socket.removeAllListeners("error").on("error", () => {});
      resolve(socket);
    });
  });
}

function unreachableError(at: string, cause: Error): IpcError {
  return new IpcError("internal", `No server answers at tcp://${at} (${cause.message})`, "busy", { cause });
}
