import { IDENTITY_LENGTH, NAME_LENGTH, WORD_LENGTH } from "./limits.ts";

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
