import type { Chat } from "./chat.ts";
import type { Folder } from "./folder.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Dial, SignMessage } from "./websocket.ts";

export interface Context {
  /** The agent, unless an option names another. */
  readonly self: string;
  readonly folder: Folder;
  /** Opens the bus as an agent. Without a database this returns undefined, unless `create` makes one. */
  readonly openMailboxes: (agent: string, options?: { readonly create: boolean }) => Promise<Mailboxes | undefined>;
  /** Prepares connections to a WebSocket server. The headers are sent to it, and to any proxy before it. */
  readonly dialer: (agent: string, url: string, headers: Readonly<Record<string, string>>) => Dial;
  readonly sign: SignMessage | undefined;
  readonly openChat: () => Chat & Disposable;
  readonly serve: (settings: { port: number; host: string; insecure: boolean }) => Promise<void>;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Turns tabs into spaces and CRLF into LF, for a terminal. */
export function formatText(message: string): string {
  return message.replaceAll("\t", "    ").replaceAll("\r\n", "\n");
}
