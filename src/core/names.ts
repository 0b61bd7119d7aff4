import { IDENTITY_LENGTH, NAME_LENGTH, WORD_LENGTH } from "./limits.ts";

/** C0 and DEL. A line feed in a name would make the bytes of a v1 signature ambiguous. */
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Why this is no role or action; undefined if it is one. Shorter than a name, since signals append to it. */
export function wordFault(word: string): string | undefined {
  return lineFault(word, WORD_LENGTH);
}

/** Why this is no channel or agent name; undefined if it is one. */
export function nameFault(name: string): string | undefined {
  return lineFault(name, NAME_LENGTH);
}

export function identityFault(identity: string): string | undefined {
  return lineFault(identity, IDENTITY_LENGTH);
}

function lineFault(text: string, maxLength: number): string | undefined {
  if (text.length > maxLength) return `must be ${maxLength} characters at most`;
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
