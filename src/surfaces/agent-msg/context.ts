import type { Chat } from "./chat.ts";
import type { Folder } from "./folder.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Dial, SignMessage } from "./websocket.ts";

/** What a verb works with. */
export interface Context {
  /** The agent, unless an option names another. */
  readonly self: string;
  readonly folder: Folder;
  /** Opens the bus as an agent. Where there is none yet, `create` makes one; otherwise the answer is undefined. */
  readonly openMailboxes: (agent: string, options?: { readonly create: boolean }) => Promise<Mailboxes | undefined>;
  /** Prepares connections to a WebSocket server. The headers are sent to it, and to any proxy before it. */
  readonly dialer: (agent: string, url: string, headers: Readonly<Record<string, string>>) => Dial;
  readonly sign: SignMessage | undefined;
  readonly openChat: () => Chat & Disposable;
  readonly serve: (settings: ServerSettings) => Promise<void>;
  readonly print: (text: string) => void;
  /** Prints to standard error. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface ServerSettings {
  readonly port: number;
  readonly host: string;
  readonly insecure: boolean;
}

/** Prepares a message's text for a terminal: tabs become spaces, and lines end one way. */
export function formatText(message: string): string {
  return message.replaceAll("\t", "    ").replaceAll("\r\n", "\n");
}
