import type { Arrived } from "./archive.ts";
import { invalid } from "./errors.ts";
import { EXPORT_FORMAT } from "./export.ts";
import { readLine } from "./import-lines.ts";
import { cryptography } from "./keys.ts";
import type { Peer, Signal } from "./session-store.ts";
import type { Agent, NewMessage, Once, Revoked, Store, StoredMessage, Watermark } from "./store.ts";

const kinds = ["agents", "messages", "watermarks", "sessions", "commands", "signals"] as const;
type ImportedKind = (typeof kinds)[number];

export interface Imported {
  /** How many of each were stored, and how many of those that can be told apart were there already. */
  readonly stored: Readonly<Record<ImportedKind, number>>;
  readonly there: Readonly<Record<ImportedKind, number>>;
  /** What this bus has otherwise, and keeps: sentences. */
  readonly kept: readonly string[];
  /** The last line was there: nothing of the export is missing. */
  readonly complete: boolean;
  readonly channels: ReadonlySet<string>;
  readonly operators: number;
}

export interface Importer {
  /** Stores what a line says, unless it is there. */
  take(value: unknown): Promise<void>;
  readonly imported: Imported;
}

/**
 * Brings an export into a bus, empty or not. A message that is the same in all but its id is there already, so what was
 * broken off goes on where it was, and what is done twice changes nothing. One at a time: two would not see each other's.
 */
export async function createImporter(store: Store, now: () => number): Promise<Importer> {
  const { agents, messages, mailboxes, peers, orders, signals } = store;
  const there = await messagesBefore(store);
  const places = createPlaces();
  const requests = new Map<number, Once>();
  const channels = new Set<string>();
  const stored = zero();
  const known = zero();
  const kept: string[] = [];
  let begun = false;
  let complete = false;
  let operators = 0;

  const count = (kind: ImportedKind, isNew: boolean) => (isNew ? stored : known)[kind]++;

  const agent = async (one: Agent): Promise<void> => {
    const done = (await agents.enter(one, "new")) === "done";
    if (done && one.role === "operator") operators++;
    if (!done && (await agents.find(one.name))?.publicKey.trim() !== one.publicKey.trim())
      kept.push(`${one.name} has another key on this bus, or its key was revoked here: that stays so`);
    count("agents", done);
  };

  const bar = async (revoked: Revoked): Promise<void> => {
    const { name, publicKey } = revoked;
    if (await agents.bar(revoked)) return void stored.agents++;
    // It was imported before its key was revoked.
    const once = { signer: name, nonce: `revoked ${digestOf(publicKey)}`, digest: digestOf(publicKey), at: now() };
    count("agents", (await agents.revoke(name, publicKey, once)) === "done");
  };

  const message = async ({ id, ...sent }: StoredMessage): Promise<void> => {
    if (id <= places.last(sent.channel)) throw invalid("the messages of an export come in the order of their ids");
    const before = there.get(digestOf(sent))?.shift();
    places.put(sent.channel, id, before ?? (await append(sent, requests.get(id))));
    requests.delete(id);
    count("messages", before === undefined);
  };

  const append = async (message: NewMessage, once: Once | undefined): Promise<number> => {
    const appended = await messages.append(message, once);
    channels.add(message.channel);
    // Under its nonce something else was done here.
    return appended.outcome === "clash" ? (await messages.append(message)).id : appended.id;
  };

  const watermark = async ({ channel, agent, lastId }: Watermark): Promise<void> => {
    const place = places.upTo(channel, lastId);
    if (place === undefined) return;
    const before = await messages.watermark(channel, agent);
    if (before >= place) return void known.watermarks++;
    // What was sent here alone isn't read because something behind it was, elsewhere.
    const passed = places.between(channel, before, place);
    if ((await messages.count(channel, before, place, passed + 1)) > passed) {
      kept.push(`${agent} has messages to read in ${channel} that are on this bus alone: its place there stays`);
      return;
    }
    await messages.advance(channel, agent, place);
    stored.watermarks++;
  };

  const mail = async ({ channel, ids }: Arrived): Promise<void> => {
    const here = ids.flatMap((id) => places.at(channel, id) ?? []);
    if (here.length > 0) await mailboxes.settle(channel, channel.slice(1), here);
  };

  const peer = async (one: Peer): Promise<void> => {
    const isNew = (await peers.find(one.id)) === undefined;
    if (isNew) await peers.connect(one, undefined);
    count("sessions", isNew);
  };

  const signal = async (one: Signal): Promise<void> => {
    const before = await signals.get(one.name);
    const isNew = before === undefined || before.setAt < one.setAt;
    if (isNew) await signals.set(one);
    count("signals", isNew);
  };

  return {
    async take(value) {
      const line = readLine(value);
      if (line === undefined) throw invalid("this is no line of an export");
      if ("export" in line && line.export.format !== EXPORT_FORMAT)
        throw invalid("this export was made by a newer el-ipc: update this one");
      if (!begun && !("export" in line)) throw invalid("an export begins otherwise: this isn't one");
      begun = true;
      complete = "complete" in line;
      if ("agent" in line) await agent(line.agent);
      else if ("revoked" in line) await bar(line.revoked);
      else if ("request" in line) requests.set(line.request.messageId, line.request);
      else if ("message" in line) await message(line.message);
      else if ("watermark" in line) await watermark(line.watermark);
      else if ("arrived" in line) await mail(line.arrived);
      else if ("peer" in line) await peer(line.peer);
      else if ("order" in line) count("commands", await orders.restore(line.order));
      else if ("signal" in line) await signal(line.signal);
    },
    get imported() {
      return { stored, there: known, kept, complete, channels, operators };
    },
  };
}

const PAGE = 1_000;

/** The messages that are there, each by what it is but for its id; those that are the same in their order. */
async function messagesBefore({ messages }: Store): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (let from = 0; ; ) {
    const page = await messages.everyAfter(from, PAGE);
    for (const { id, ...sent } of page) {
      const key = digestOf(sent);
      const ids = found.get(key);
      if (ids === undefined) found.set(key, [id]);
      else ids.push(id);
      from = id;
    }
    if (page.length === 0) return found;
  }
}

function digestOf(what: NewMessage | string): string {
  const text =
    typeof what === "string"
      ? what
      : JSON.stringify([
          what.channel,
          what.sender,
          what.content,
          what.timestamp,
          what.signature,
          what.attested === true,
        ]);
  return cryptography().createHash("sha256").update(text).digest("base64url").slice(0, 27);
}

/** Where the messages of an export are on this bus, by channel; they come in the order of their ids. */
function createPlaces() {
  const channels = new Map<string, { readonly theirs: number[]; readonly ours: number[] }>();

  const indexOf = (theirs: readonly number[], id: number): number => {
    let [from, to] = [0, theirs.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((theirs[middle] ?? 0) <= id) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  };

  return {
    last: (channel: string): number => channels.get(channel)?.theirs.at(-1) ?? 0,
    put(channel: string, id: number, here: number): void {
      const places = channels.get(channel) ?? { theirs: [], ours: [] };
      channels.set(channel, places);
      places.theirs.push(id);
      places.ours.push(here);
    },
    at(channel: string, id: number): number | undefined {
      const places = channels.get(channel);
      const index = places === undefined ? -1 : indexOf(places.theirs, id);
      return places?.theirs[index] === id ? places.ours[index] : undefined;
    },
    /** How many of them are here after one id and up to another. */
    between(channel: string, after: number, upTo: number): number {
      return channels.get(channel)?.ours.filter((id) => id > after && id <= upTo).length ?? 0;
    },
    /** Of the last message of the channel up to this one. */
    upTo(channel: string, id: number): number | undefined {
      const places = channels.get(channel);
      return places?.ours[indexOf(places.theirs, id)];
    },
  };
}

function zero(): Record<ImportedKind, number> {
  return { agents: 0, messages: 0, watermarks: 0, sessions: 0, commands: 0, signals: 0 };
}
