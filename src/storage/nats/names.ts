/** What a bus's streams and subjects are called. Everything of it is under its own name, so that buses share a server. */
export interface Names {
  readonly stream: (stream: StreamKind) => string;
  /** What a stream takes; a subject belongs to one stream alone. */
  readonly subjects: (stream: StreamKind) => readonly string[];
  readonly message: (channel: string) => string;
  readonly everyMessage: string;
  readonly watermark: (channel: string, agent: string) => string;
  readonly everyWatermark: string;
  readonly everyNonce: string;
  readonly watermarksOf: (channel: string) => string;
  readonly mailbox: (channel: string) => string;
  readonly everyMailbox: string;
  readonly agent: (role: "agent" | "operator", name: string) => string;
  readonly agents: (role: "agent" | "operator") => string;
  readonly nonce: (signer: string, nonce: string) => string;
  readonly sessions: string;
  readonly body: (name: string) => string;
  readonly bell: (topic: string) => string;
}

export const streamKinds = ["messages", "readers", "agents", "nonces", "sessions", "bodies"] as const;
export type StreamKind = (typeof streamKinds)[number];

export function namesOf(bus: string): Names {
  return {
    stream: (kind) => `${bus}-${kind}`,
    subjects: (kind) => SUBJECTS[kind].map((subject) => `${bus}.${subject}`),
    message: (channel) => `${bus}.message.${token(channel)}`,
    everyMessage: `${bus}.message.*`,
    watermark: (channel, agent) => `${bus}.watermark.${token(channel)}.${token(agent)}`,
    everyWatermark: `${bus}.watermark.*.*`,
    everyNonce: `${bus}.nonce.*.*`,
    watermarksOf: (channel) => `${bus}.watermark.${token(channel)}.*`,
    everyMailbox: `${bus}.mailbox.*`,
    mailbox: (channel) => `${bus}.mailbox.${token(channel)}`,
    agent: (role, name) => `${bus}.agent.${role}.${token(name)}`,
    agents: (role) => `${bus}.agent.${role}.*`,
    nonce: (signer, nonce) => `${bus}.nonce.${token(signer)}.${token(nonce)}`,
    sessions: `${bus}.session`,
    body: (name) => `${bus}.body.${name}`,
    bell: (topic) => `${bus}.bell.${token(topic)}`,
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

const LONGEST = 150;

/**
 * Any text as one token of a subject: letters and digits as they are, other bytes in hex. A long one is hashed, since a
 * server's control line has an end; so what a name was stands in the message, and is never read from a subject.
 */
export function token(text: string): string {
  if (text === "") return "=";
  const bytes = Buffer.from(text);
  let spelled = "";
  for (const byte of bytes) {
    const letter = String.fromCharCode(byte);
    spelled += /[A-Za-z0-9_-]/.test(letter) ? letter : `=${byte.toString(16).padStart(2, "0")}`;
    if (spelled.length > LONGEST) return `=h${process.getBuiltinModule("node:crypto").hash("sha256", bytes)}`;
  }
  return spelled;
}
