import type { Folder, Letter } from "./folder.ts";
import type { Post } from "./post.ts";

/** What a verb works with. */
export interface Desk {
  readonly folder: Folder;
  /** The bus, asked as this agent. Where nothing has ever been stored it is made only for who waits for what comes. */
  readonly openPost: (agent: string, how: "if there is one" | "in any case") => Promise<Post | undefined>;
  /** Who this is unless an option says otherwise. */
  readonly self: string;
  readonly print: (text: string) => void;
  /** Says something beside the answer. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A letter that somebody wrote, fit for a terminal's line: its tabs are spaces, its lines end one way. */
export function said({ message }: Letter): string {
  return message.replaceAll("\t", "    ").replaceAll("\r\n", "\n");
}
