import type { Role } from "../../core/store.ts";

/** A stream is named after its kind, so these names stay. `bodies` holds payloads and snapshots. */
export type StreamKind = "messages" | "readers" | "agents" | "nonces" | "sessions" | "bodies";

/** Names of a bus's streams and subjects. All begin with the bus's own name, so buses can share a server. */
export type Names = ReturnType<typeof namesOf>;

export function namesOf(bus: string) {
  return {
    stream: (kind: StreamKind) => `${bus}-${kind}`,
    /** The subjects that a stream stores. No two streams share one. */
    subjects: (kind: StreamKind): readonly string[] => SUBJECTS[kind].map((subject) => `${bus}.${subject}`),
    message: (channel: string) => `${bus}.message.${subjectToken(channel)}`,
    everyMessage: `${bus}.message.*`,
    watermark: (channel: string, agent: string) => `${bus}.watermark.${subjectToken(channel)}.${subjectToken(agent)}`,
    watermarksOf: (channel: string) => `${bus}.watermark.${subjectToken(channel)}.*`,
    everyWatermark: `${bus}.watermark.*.*`,
    mailbox: (channel: string) => `${bus}.mailbox.${subjectToken(channel)}`,
    everyMailbox: `${bus}.mailbox.*`,
    agent: (role: Role, name: string) => `${bus}.agent.${role}.${subjectToken(name)}`,
    agents: (role: Role) => `${bus}.agent.${role}.*`,
    nonce: (signer: string, nonce: string) => `${bus}.nonce.${subjectToken(signer)}.${subjectToken(nonce)}`,
    everyNonce: `${bus}.nonce.*.*`,
    sessions: `${bus}.session`,
    payload: (name: string) => `${bus}.body.${name}`,
    bell: (topic: string) => `${bus}.bell.${subjectToken(topic)}`,
  };
}

const SUBJECTS: Readonly<Record<StreamKind, readonly string[]>> = {
  messages: ["message.*"],
  readers: ["watermark.*.*", "mailbox.*"],
  agents: ["agent.*.*"],
  nonces: ["nonce.*.*"],
  sessions: ["session"],
  bodies: ["body.*"],
};

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
