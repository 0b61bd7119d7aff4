import { conflict } from "../../core/errors.ts";
import type { Context } from "../../operations/operation.ts";
import type { Connections } from "../../server/connections.ts";
import type { FrameSocket } from "./socket.ts";

/** A connection that has a name, or wants one. */
export interface Holder {
  readonly socket: Pick<FrameSocket, "confirm">;
  /** Ends the connection at once. */
  drop(): void;
}

/** The names of the agents that are connected to a server. */
export interface Names {
  /** Gives a name to a connection, or refuses while another one that has it is alive. */
  claim(name: string, holder: Holder): Promise<void>;
  release(name: string, holder: Holder): void;
  has(name: string): boolean;
}

/** How soon the holder of a name must answer when another connection wants it. */
const ALIVE_MS = 2_000;

/** A broken connection that nobody has noticed yet loses its name to the next that wants it. */
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

/** How often the bus is told that a named connection still stands. */
const STAY_MS = 30_000;

/** The name of one connection, on this server and, as an agent that is online, on the bus. */
export interface Registration {
  readonly name: string | undefined;
  /** Takes a name. Resolves to how many messages wait for it; undefined where the connection has ended meanwhile. */
  begin(name: string): Promise<number | undefined>;
  /** Gives the name back. To be called when the connection has ended. */
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
  /** Its session on the bus. */
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

  /** Tells the bus again that the agent is here, where it has forgotten that, as by a reset. */
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
