import { createRemoteEndpoint, credentialFor, type ServerTarget } from "../../client/remote.ts";
import { IpcError, remoteError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { formatAddress, parseAddress } from "../../core/link.ts";
import { publicInput } from "../../operations/fields.ts";
import type { Request } from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { isLoopback, reachableHost } from "../../server/addresses.ts";
import { type Channel, openChannel } from "./channel.ts";

const BROKER_PORT = 19_901;

/** A bus behind `tcp://host:port`, asked as JSON lines over one connection. */
export function openTcpEndpoint(server: ServerTarget): Endpoint & AsyncDisposable {
  const address = parseAddress(server.url.replace(/^tcp:\/\//, "").replace(/\/$/, ""), BROKER_PORT);
  const place = { name: `tcp://${formatAddress(address)}`, isPrivate: isLoopback(address.host) };
  let channel: Promise<Channel> | undefined;
  let reached = false;

  const openOnce = async (): Promise<Channel> => {
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

  const answers = async (
    request: Request,
    signal: AbortSignal,
    stream: boolean,
  ): Promise<AsyncIterable<JsonObject>> => {
    const open = await openOnce();
    const token = await credentialFor(request, server, place);
    const input = Object.fromEntries(publicInput(request.operation.input.fields, request.input));
    const line = { ask: request.operation.name, input, ...(token === undefined ? {} : { token }) };
    return open.ask(line, signal, stream);
  };

  const endpoint = createRemoteEndpoint({
    reached: () => reached,
    isPassing: (error) => reached && error instanceof IpcError && error.reason === "busy",
    async once(request, signal) {
      const [answer] = await Array.fromAsync(await answers(request, signal, false));
      return answer === undefined ? null : answerIn(answer).answer;
    },
    async *stream(request, signal, begun) {
      for await (const line of await answers(request, signal, true)) {
        const { next, end } = answerIn(line);
        if (end) return;
        begun();
        yield { value: next, since: Object(next).id };
      }
    },
  });
  return {
    ...endpoint,
    async [Symbol.asyncDispose]() {
      (await channel?.catch(() => undefined))?.close();
    },
  };
}

/** The name of the broker on a port; undefined if there is none, and `a broker` if it has no name. */
export async function brokerAt(host: string, port: number): Promise<string | undefined> {
  try {
    const channel = await openChannel({ host: reachableHost(host), port });
    try {
      for await (const { info, server } of channel.ask({ op: "status" }, AbortSignal.timeout(2_000), false)) {
        if (typeof server === "string") return server;
        return info === "agent-tool-ipc-broker" ? "a broker" : undefined;
      }
    } finally {
      channel.close();
    }
  } catch {
    // Not a broker.
  }
  return undefined;
}

function answerIn(line: JsonObject): JsonObject {
  if (line.ok === true) return line;
  throw remoteError(line, "The server answers in another way than el-ipc");
}
