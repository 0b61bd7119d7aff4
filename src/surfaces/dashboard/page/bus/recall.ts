import { decodeEvents } from "../../../../wire/sse.ts";
import type { Asker } from "./ask.ts";
import { type Told, toldOf } from "./state.ts";

const MOST = 60;

const LONGEST_MS = 3_000;

/**
 * What happened last before an event, oldest first, so that a page which was just opened isn't empty: the stream of
 * events, begun a little earlier. Whatever goes wrong, nothing more is missing than that.
 */
export async function recall({ open }: Asker, until: string): Promise<readonly Told[]> {
  const end = positionOf(until);
  const since = `${Math.max(0, end.message - MOST)}.${Math.max(0, end.entry - MOST)}`;
  if (since === until) return [];
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), LONGEST_MS);
  const told: Told[] = [];
  try {
    const response = await open("events", { since }, { signal: controller.signal });
    if (response.body === null) return [];
    for await (const { data } of decodeEvents(chunksOf(response.body))) {
      const next = toldOf(JSON.parse(data));
      const at = positionOf(next.id);
      // A snapshot says that so far back nothing is known any more.
      if (next.type === "snapshot" || at.message > end.message || at.entry > end.entry) break;
      told.push(next);
      if (at.message === end.message && at.entry === end.entry) break;
    }
  } catch {
    // As said above.
  } finally {
    clearTimeout(timer);
    controller.abort();
  }
  return told.toSorted((a, b) => a.ts - b.ts).slice(-MOST);
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function positionOf(id: string): { message: number; entry: number } {
  const [message = "0", entry = "0"] = id.split(".");
  return { message: Number(message) || 0, entry: Number(entry) || 0 };
}
