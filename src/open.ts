import { realpathSync } from "node:fs";
import { join } from "node:path";
import { type Bus, type CardSettings, createBus } from "./core/bus.ts";
import { IpcError } from "./core/errors.ts";
import type { Brokers, Link } from "./core/link.ts";
import { createUserState, type Environment } from "./environment.ts";
import { openSqlite } from "./storage/sqlite/open.ts";
import { createFileBells } from "./wakeup/files.ts";

export interface Opening {
  /** The port in the agent card's default address. */
  readonly port: () => number;
  /** Opens a secured bus even if it has lost its operator. */
  readonly seeding?: boolean;
  readonly warn?: (text: string) => void;
  /** Ends the wait for an unreachable store. */
  readonly signal?: AbortSignal;
}

export async function openBus(
  environment: Environment,
  { port, seeding = false, warn = () => {}, signal }: Opening,
): Promise<Bus> {
  const { place, signatures, readsNeedToken } = environment;
  const userState = createUserState(environment.configFolder);
  const { store, wakeup } = await openEngine(environment, signal);
  if (!seeding && userState.hasDatabase(place) && (await store.agents.firstOperator()) === undefined) {
    await wakeup[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    throw new IpcError(
      "unauthorized",
      `The database ${place} had an operator and has none now: it was replaced, or its folder cleaned. ` +
        `Restore it, seed an operator anew, or remove its line from ${userState.databasesFile} to begin again in open mode`,
    );
  }
  const card = cardOf(environment, port);
  const secured = () => {
    if (!userState.addDatabase(place))
      warn(`Warning: ${userState.databasesFile} can't be written, so nobody will notice if this database is lost`);
  };
  return createBus({
    store,
    wakeup,
    link: openLink(),
    brokers: (bus) => openBrokers(bus, environment.apiKey),
    policy: { card, signatures, readsNeedToken, secured },
    now: () => Date.now() / 1_000,
  });
}

/** The one place that chooses an engine. */
async function openEngine(
  environment: Environment,
  signal: AbortSignal | undefined,
): Promise<Pick<Bus, "store" | "wakeup">> {
  const { databasePath: path, durability, store: address, replicas, retry, configFolder } = environment;
  if (address !== undefined) {
    const nats = await import("./nats.ts");
    return nats.openNats(address, { replicas, retry, signal, backups: join(configFolder, "backups") });
  }
  const store = await openSqlite({ path, durability });
  // Uses the real path, so that processes that open the file through a link share its bells.
  return { store, wakeup: createFileBells({ folder: `${realpathSync.native(path)}-bells`, changes: store.changes }) };
}

/** A link that loads its code on first use. */
export function openLink(): Link {
  let loaded: Promise<Link> | undefined;
  const link = () => {
    loaded ??= import("./links/tcp.ts").then(({ createTcpLink }) => createTcpLink());
    return loaded;
  };
  return {
    send: async (...asked) => (await link()).send(...asked),
    ping: async (...asked) => (await link()).ping(...asked),
    receive: async (...asked) => (await link()).receive(...asked),
    settle: async (...asked) => (await link()).settle(...asked),
  };
}

function openBrokers(bus: Bus, apiKey: string | undefined): Brokers {
  let loaded: Promise<Brokers> | undefined;
  const owned = new Set<number>();
  const brokers = () => {
    loaded ??= import("./brokers.ts").then(({ createBrokers }) => createBrokers(bus, apiKey, owned));
    return loaded;
  };
  return {
    start: async (address) => (await brokers()).start(address),
    stop: async (port) => (await brokers()).stop(port),
    owns: (port) => owned.has(port),
    ask: async (...asked) => (await brokers()).ask(...asked),
    [Symbol.asyncDispose]: async () => (await loaded)?.[Symbol.asyncDispose](),
  };
}

function cardOf({ cardName, cardDescription, cardUrl }: Environment, port: () => number): CardSettings {
  return {
    name: cardName,
    description: cardDescription,
    get url() {
      return cardUrl ?? `http://localhost:${port()}`;
    },
  };
}
