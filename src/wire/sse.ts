/** A server-sent event: text/event-stream, as browsers and `curl -N` read it. */
export interface ServerEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

export function encodeEvent({ id, event, data }: ServerEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${id === undefined ? "" : `id: ${id}\n`}${event === undefined ? "" : `event: ${event}\n`}${lines.join("")}\n`;
}

export const EVENT_STREAM_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store",
  "X-Accel-Buffering": "no",
  "X-Content-Type-Options": "nosniff",
};

export const KEEP_ALIVE_MS = 15_000;

/** A comment, which readers skip. It shows both ends, and proxies, that the connection is alive. */
export const KEEP_ALIVE = ": \n\n";

export async function* decodeEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    yield* blocks.map(decodeBlock).filter((event) => event !== undefined);
  }
}

function decodeBlock(block: string): ServerEvent | undefined {
  const data: string[] = [];
  let id: string | undefined;
  let event: string | undefined;
  for (const line of block.split(/\r?\n/)) {
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "data") data.push(value);
    if (field === "id") id = value;
    if (field === "event") event = value;
  }
  if (data.length === 0) return undefined;
  return { data: data.join("\n"), ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) };
}
