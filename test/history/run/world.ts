import { readFileSync } from "node:fs";
import { createChance } from "../../fuzz/random.ts";
import { type Identity, identityOf } from "../../support/identity.ts";
import {
  type Environment,
  type Program,
  type Result,
  type Server,
  start,
  startServer,
  untilListening,
} from "../../support/program.ts";
import { type Doing, type Event, moment } from "../events.ts";

export type Chance = ReturnType<typeof createChance>;

/** Where a run happens: a bus, a server of it that is killed now and then, and the log of all that is done to it. */
export interface World {
  readonly path: string;
  readonly environment: Environment;
  /** In secure mode, whom everybody sends as. */
  readonly sender: (Identity & { readonly keyFile: string }) | undefined;
  readonly operatorKey: string;
  readonly did: string;
  /** The server's address, whether it lives or not. */
  readonly url: string;
  readonly events: Event[];
  /** Ends the work; what has to be read then is read to the end. */
  readonly over: AbortSignal;
  chance(name: string): Chance;
  log(who: string, doing: Doing): void;
  /** A process of the command line; with a chance, killed at any moment. Undefined where it was. */
  cli(chance: Chance, words: readonly string[], killed: number): Promise<Ran>;
}

export interface Ran extends Result {
  readonly killed: boolean;
}

export interface Making {
  readonly path: string;
  readonly seed: number;
  readonly environment: Environment;
  readonly url: string;
  readonly over: AbortSignal;
  readonly secure?: { readonly did: string; readonly keyFile: string; readonly operatorKey: string } | undefined;
}

export function createWorld({ path, seed, environment, url, over, secure }: Making): World {
  const events: Event[] = [];
  let names = 0;
  return {
    path,
    environment,
    url,
    events,
    over,
    operatorKey: secure?.operatorKey ?? "",
    did: secure?.did ?? "",
    sender: secure && {
      ...identityOf("sender", readFileSync(secure.keyFile, "utf8")),
      keyFile: secure.keyFile,
    },
    chance: () => createChance((seed * 1_000 + names++) | 0),
    log: (who, doing) => events.push({ at: moment(), who, ...doing }),
    async cli(chance, words, killed) {
      await using program = start(words, environment);
      const doomed = chance.often(killed);
      const timer = doomed ? setTimeout(() => program.child.kill("SIGKILL"), chance.below(150)) : undefined;
      const result = await program.ended;
      clearTimeout(timer);
      return { ...result, killed: doomed && result.code === null };
    },
  };
}

/** Kills the server again and again, and starts it where it was. */
export async function serverThatDies(world: World, first: Server): Promise<Server> {
  const chance = world.chance("server");
  let server = first;
  while (!world.over.aborted) {
    const born = world.events.length;
    await pause(world, 600 + chance.below(1_800));
    // On a busy machine it would else never live to see anything.
    for (let n = 0; n < 50 && !world.events.slice(born).some(({ kind }) => kind === "done"); n++)
      await pause(world, 100);
    server.child.kill("SIGKILL");
    await server.ended;
    await pause(world, chance.below(150));
    server = await serverAt(world.environment, server.port);
  }
  return server;
}

/** A disk without room may keep it from starting; a port that was just left may be taken for a moment. */
async function serverAt(environment: Environment, port: number): Promise<Server> {
  for (let tries = 0; ; tries++) {
    const program: Program = start(["serve", String(port)], environment);
    try {
      return await untilListening(program);
    } catch (error) {
      if (tries > 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function firstServer(environment: Environment): Promise<Server> {
  return startServer(environment);
}

/** A while, or less where the work is over. */
export function pause({ over }: World, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      over.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    if (over.aborted) done();
    else over.addEventListener("abort", done, { once: true });
  });
}
