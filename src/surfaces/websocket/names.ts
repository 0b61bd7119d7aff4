import { conflict } from "../../core/errors.ts";
import type { Context } from "../../operations/operation.ts";
import type { Connections } from "../../server/connections.ts";
import type { FrameSocket } from "./socket.ts";

export interface Holder {
  readonly socket: Pick<FrameSocket, "confirm">;
  drop(): void;
}

/** The names of the agents connected to a server. */
export interface Names {
  /** Gives a name to a connection. Refuses while another connection with that name is alive. */
  claim(name: string, holder: Holder): Promise<void>;
  release(name: string, holder: Holder): void;
  has(name: string): boolean;
}

/** How fast a name's holder must answer when another connection claims the name. */
const ALIVE_MS = 2_000;

/** A dead connection loses its name to the next that claims it. */
export function createNames(): Names {
  const holders = new Map<string, Holder>();
  return {
    async claim(name, holder) {
      for (let other = holders.get(name); other !== undefined && other !== holder; other = holders.get(name)) {
        if (await other.socket.confirm(ALIVE_MS)) throw conflict(`${name} is connected already, from elsewhere`);
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

/** How often a named connection's session is kept alive on the bus. */
const STAY_MS = 30_000;

/** A connection's name on this server, and its agent's session on the bus. */
export interface Registration {
  readonly name: string | undefined;
  /** Takes a name. Resolves to its unread message count; undefined if the connection has ended meanwhile. */
  begin(name: string): Promise<number | undefined>;
  /** Releases the name. Call this when the connection has ended. */
  end(): Promise<void>;
}

export interface RegistrationOptions {
  readonly connections: Connections;
  readonly context: Context;
  readonly names: Names;
  readonly holder: Holder;
  readonly reportFault: (error: unknown) => void;
}

export function createRegistration(options: RegistrationOptions): Registration {
  const { connections, context, names, holder, reportFault } = options;
  let name: string | undefined;
  let session: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  const arrive = async (agent: string): Promise<number> => {
    const { id, unread } = await connections.open(agent, context);
    session = id;
    return unread;
  };

  const depart = async (agent: string | undefined): Promise<void> => {
    if (agent !== undefined) names.release(agent, holder);
    const id = session;
    session = undefined;
    if (id !== undefined) await connections.close(id);
  };

  /** Keeps the session alive, or opens it anew if the bus has forgotten it, as after a reset. */
  const stay = async (agent: string): Promise<void> => {
    if (session === undefined) return;
    const isKnown = await connections.keep(session);
    if (!isKnown && session !== undefined) await arrive(agent);
  };

  return {
    get name() {
      return name;
    },
    async begin(agent) {
      const unread = await arrive(agent);
      try {
        await names.claim(agent, holder);
      } catch (error) {
        await depart(undefined);
        throw error;
      }
      if (context.signal.aborted) {
        await depart(agent);
        return undefined;
      }
      name = agent;
      timer = setInterval(() => stay(agent).catch(reportFault), STAY_MS);
      return unread;
    },
    async end() {
      clearInterval(timer);
      await depart(name);
    },
  };
}
