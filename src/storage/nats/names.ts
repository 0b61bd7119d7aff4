import type { RecordKind } from "../../core/records.ts";
import type { Role } from "../../core/store.ts";

interface Place {
  readonly stream: string;
  /** One of the stream's subjects. A record's key takes the place of the wildcards. */
  readonly subject: string;
}

/** Where each kind of record is stored. A kind without an entry has a stream of its own name, since a stream never changes. */
const places = {
  messages: { stream: "messages", subject: "message.*" },
  watermarks: { stream: "readers", subject: "watermark.*.*" },
  arrived: { stream: "readers", subject: "mailbox.*" },
  agents: { stream: "agents", subject: "agent.*.*" },
  revoked: { stream: "agents", subject: "agent.*.*" },
  nonces: { stream: "nonces", subject: "nonce.*.*" },
  peers: { stream: "sessions", subject: "session" },
  orders: { stream: "sessions", subject: "session" },
  signals: { stream: "sessions", subject: "session" },
  journal: { stream: "sessions", subject: "session" },
} as const satisfies { readonly [Kind in RecordKind]?: Place };

type PlacedKind = keyof typeof places;

/** A stream is named after its kind, so these names stay. `bodies` holds payloads and snapshots. */
export type StreamKind = (typeof places)[PlacedKind]["stream"] | "bodies" | Exclude<RecordKind, PlacedKind>;

/** Names of a bus's streams and subjects. All begin with the bus's own name, so buses can share a server. */
export type Names = ReturnType<typeof namesOf>;

export function namesOf(bus: string) {
  return {
    stream: (kind: StreamKind) => `${bus}-${kind}`,
    /** The subjects that a stream stores. No two streams share one. */
    subjects: (kind: StreamKind): readonly string[] => subjectsOf(kind).map((subject) => `${bus}.${subject}`),
    streamOf: (kind: RecordKind): StreamKind => (isPlaced(kind) ? places[kind].stream : kind),
    record: (kind: RecordKind, ...key: readonly string[]) =>
      [bus, subjectOf(kind).split(".", 1)[0], ...key.map(subjectToken)].join("."),
    everyRecord: (kind: RecordKind) => `${bus}.${subjectOf(kind)}`,
    message: (channel: string) => `${bus}.message.${subjectToken(channel)}`,
    everyMessage: `${bus}.message.*`,
    watermarksOf: (channel: string) => `${bus}.watermark.${subjectToken(channel)}.*`,
    agent: (role: Role, name: string) => `${bus}.agent.${role}.${subjectToken(name)}`,
    agents: (role: Role) => `${bus}.agent.${role}.*`,
    sessions: `${bus}.session`,
    payload: (name: string) => `${bus}.body.${name}`,
    bell: (topic: string) => `${bus}.bell.${subjectToken(topic)}`,
  };
}

function isPlaced(kind: RecordKind): kind is PlacedKind {
  return Object.hasOwn(places, kind);
}

function subjectOf(kind: RecordKind): string {
  return isPlaced(kind) ? places[kind].subject : `${kind}.>`;
}

function subjectsOf(kind: StreamKind): readonly string[] {
  if (kind === "bodies") return ["body.*"];
  const found = Object.values(places).filter(({ stream }) => stream === kind);
  return found.length > 0 ? [...new Set(found.map(({ subject }) => subject))] : [`${kind}.>`];
}

const MAX_TOKEN = 150;

/**
 * Spells any text as one token of a subject: letters and digits as they are, other bytes in hex. A long text is hashed,
 * since a server limits its control line; so names are stored in messages, and never read from subjects.
 */
function subjectToken(text: string): string {
  if (text === "") return "=";
  const bytes = Buffer.from(text);
  let token = "";
  for (const byte of bytes) {
    const letter = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(letter) ? letter : `=${byte.toString(16).padStart(2, "0")}`;
    if (token.length > MAX_TOKEN) return `=h${process.getBuiltinModule("node:crypto").hash("sha256", bytes)}`;
  }
  return token;
}
