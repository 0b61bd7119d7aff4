import { nuid } from "@nats-io/transport-node";
import { fieldsOf } from "./fields.ts";
import type { Draft, Log } from "./log.ts";
import { appendMessage } from "./message-stream.ts";
import { type Bodies, namesIn } from "./payloads.ts";
import { scan } from "./scan.ts";
import type { Errand, ErrandMessage } from "./state.ts";
import type { Streams } from "./streams.ts";

/**
 * What follows from a step on the sessions in another stream: a message, or the removal of many. The step stores that it
 * is to be done; then it is done, and then that it is. Where whoever does it is killed in between, the next who comes does
 * it: each part can be done twice and happens once.
 */
export interface Errands {
  prepare(message: Omit<ErrandMessage, "content" | "after"> & { readonly content: string }): Promise<ErrandMessage>;
  /** A part of a step. */
  note(draft: Draft, errand: Pick<Errand, "message" | "purge">): Errand;
  /** Does it; where that can't be now, whoever comes next will. Answers with how many messages it removed. */
  run(errand: Errand): Promise<number>;
}

/** Who noted it is given so long to do it, with all that is tried again. */
const LEFT_SECONDS = 15;
const SPARE_SECONDS = 0.1;

export function createErrands(streams: Streams, log: Log, bodies: Bodies): Errands {
  const { names } = streams;

  const send = async (id: string, { channel, sender, content, timestamp }: ErrandMessage): Promise<void> => {
    const text = await bodies.read(content);
    if (text === undefined) return;
    const message = { channel, sender, content: String(text.value), timestamp, signature: "" };
    await appendMessage(streams, message, `errand ${id}`, { errand: id });
  };

  /** The stream knows what it stored for a while; after that the message itself says that it is there. */
  const wasSent = async (id: string, { channel, after }: ErrandMessage): Promise<boolean> => {
    const range = { subject: names.message(channel), from: after + 1, headersOnly: true };
    for await (const { fields } of scan(streams, "messages", range)) if (fieldsOf(fields).errand === id) return true;
    return false;
  };

  const purge = async ({ upTo, keptChannel }: { upTo: number; keptChannel: string }): Promise<number> => {
    const kept = names.message(keptChannel);
    const subjects = Object.keys(await streams.counts("messages", names.everyMessage));
    let removed = 0;
    for (const subject of subjects) if (subject !== kept) removed += await streams.purge("messages", subject, upTo);
    return removed;
  };

  const finish = async ({ id, message, purge: what }: Errand, left: boolean): Promise<number> => {
    if (message !== undefined && !(left && (await wasSent(id, message)))) await send(id, message);
    const removed = what === undefined ? 0 : await purge(what);
    await log.step((draft) => draft.state.errands.has(id) && draft.put({ of: "errand", key: id, to: null }));
    if (message !== undefined) log.meanwhile(bodies.drop(namesIn(message.content)));
    return removed;
  };

  let finishing = false;
  const finishLeft = (left: readonly Errand[]): void => {
    if (left.length === 0 || finishing) return;
    finishing = true;
    log.meanwhile(
      (async () => {
        // What makes room first; what can't be done keeps nothing else from being done.
        const inTurn = left.toSorted(
          (one, other) => Number(one.purge === undefined) - Number(other.purge === undefined),
        );
        for (const errand of inTurn) await finish(errand, true).catch(() => {});
      })().finally(() => {
        finishing = false;
      }),
    );
  };

  log.afterwards(({ errands }) => {
    const now = Date.now() / 1_000;
    const isLeft = ({ at }: Errand) => Math.abs(now - at) > LEFT_SECONDS;
    const known = [...errands.values()];
    finishLeft(known.filter(isLeft));
    const dueIn = known.filter((errand) => !isLeft(errand)).map(({ at }) => at + LEFT_SECONDS - now);
    if (known.length > 0) log.lookIn(Math.min(LEFT_SECONDS, ...dueIn) + SPARE_SECONDS);
  });

  return {
    async prepare({ content, ...message }) {
      const [kept, after] = await Promise.all([bodies.keep(content), streams.lastSeq("messages")]);
      return { ...message, content: kept, after };
    },

    note(draft, what) {
      const errand = { id: nuid.next(), at: draft.at, entry: draft.state.entry, ...what };
      draft.put({ of: "errand", key: errand.id, to: errand });
      return errand;
    },

    run: (errand) => finish(errand, false),
  };
}

/** What is kept of sessions, orders and signals, and what follows from a change of it. */
export interface Sessions {
  readonly log: Log;
  readonly bodies: Bodies;
  readonly errands: Errands;
}
