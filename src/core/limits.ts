export const NAME_LENGTH = 200;
export const WORD_LENGTH = 100;
export const IDENTITY_LENGTH = 1_000;
export const CONTENT_BYTES = 1024 * 1024;

/** A request's body: a content of escapes only grows sixfold in JSON. */
export const BODY_BYTES = 6 * CONTENT_BYTES + 64 * 1024;

/** A read hands out this many messages at most, and no more once it holds this many bytes of content. */
export const BATCH_MESSAGES = 1_000;
export const BATCH_BYTES = 8 * CONTENT_BYTES;

/** Seconds that a wait over a network lasts when it doesn't say, and at most. */
export const WAIT_SECONDS = 30;
export const MAX_WAIT_SECONDS = 300;

/** How long an order that has ended, and a peer that is gone, can still be looked up. */
export const KEPT_SECONDS = 7 * 24 * 3_600;

/** How far a signed request's time may be from the bus's. */
export const STAMP_TOLERANCE_SECONDS = 300;

/** A token lives so long at most, and so long where it doesn't say. */
export const TOKEN_SECONDS = 3_600;

/** C0 and DEL. A newline in a name would make the text that is signed ambiguous. */
const CONTROL = /[\u0000-\u001f\u007f]/;

/** What is wrong with the name of a role or of an action, if anything is: signals are called after them, with more behind. */
export function wordFault(word: string): string | undefined {
  return lineFault(word, WORD_LENGTH);
}

/** What is wrong with a channel's or an agent's name, if anything is. */
export function nameFault(name: string): string | undefined {
  return lineFault(name, NAME_LENGTH);
}

export function identityFault(identity: string): string | undefined {
  return lineFault(identity, IDENTITY_LENGTH);
}

function lineFault(text: string, longest: number): string | undefined {
  if (text.length > longest) return `must be ${longest} characters at most`;
  if (CONTROL.test(text)) return "must not contain control characters";
  if (!text.isWellFormed()) return "must be valid Unicode";
  return undefined;
}

/** A mailbox is the channel `@name`, read by `name`. */
export function isMailbox(channel: string): boolean {
  return channel.startsWith("@");
}

export function mailboxOf(name: string): string {
  return `@${name}`;
}

export function isOwnMailbox(channel: string, agent: string): boolean {
  return channel === mailboxOf(agent);
}
