import { conflict } from "../../core/errors.ts";
import type { Line } from "./socket.ts";

/** Somebody who is connected under a name. */
export interface Holder {
  readonly line: Line;
  /** Ends its connection at once. */
  drop(): void;
}

export interface Names {
  /** Gives a name to a connection, or refuses while another one that has it is alive. */
  claim(name: string, holder: Holder): Promise<void>;
  release(name: string, holder: Holder): void;
  has(name: string): boolean;
}

/** How soon the one who has a name must answer when another one wants it. */
const ALIVE_MS = 2_000;

/** Whose names they are that are connected here. A broken connection that nobody has noticed yet keeps nobody out. */
export function createNames(): Names {
  const holders = new Map<string, Holder>();
  return {
    async claim(name, holder) {
      for (let other = holders.get(name); other !== undefined && other !== holder; other = holders.get(name)) {
        if (await other.line.confirm(ALIVE_MS)) throw conflict(`${name} is connected already, from elsewhere`);
        other.drop();
        if (holders.get(name) === other) holders.delete(name);
      }
      holders.set(name, holder);
    },
    release(name, holder) {
      if (holders.get(name) === holder) holders.delete(name);
    },
    has: (name) => holders.has(name),
  };
}
