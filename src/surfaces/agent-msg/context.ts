import type { Dial, SignMessage } from "./conversation.ts";
import type { Folder } from "./folder.ts";
import type { Post } from "./post.ts";

/** What a verb works with. */
export interface Desk {
  readonly folder: Folder;
  /** The bus, asked as this agent. Where nothing has ever been stored it is made only for who waits for what comes. */
  readonly openPost: (agent: string, how: "if there is one" | "in any case") => Promise<Post | undefined>;
  /** How to connect to a WebSocket server, with what stands before it told these headers. */
  readonly dialing: (agent: string, url: string, headers: Readonly<Record<string, string>>) => Dial;
  readonly sign: SignMessage | undefined;
  readonly openChat: () => Chat & Disposable;
  readonly serve: (serving: Serving) => Promise<void>;
  /** Who this is unless an option says otherwise. */
  readonly self: string;
  readonly print: (text: string) => void;
  /** Says something beside the answer. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface Serving {
  readonly port: number;
  readonly host: string;
  readonly insecure: boolean;
}

/** What somebody wrote, fit for a terminal: its tabs are spaces, its lines end one way. */
export function said(message: string): string {
  return message.replaceAll("\t", "    ").replaceAll("\r\n", "\n");
}

/** Where a person, or a program, reads and types. */
export interface Chat {
  print(text: string): void;
  note(text: string): void;
  /** Each line that is typed, until whoever types is done. */
  readonly lines: AsyncIterable<string>;
  /** These can be written to, for names to be completed. */
  know(names: readonly string[]): void;
}
