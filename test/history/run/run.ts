import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { drivers } from "../../../src/storage/sqlite/driver.ts";
import { createIdentity, didOf, identityOf } from "../../support/identity.ts";
import { type Environment, run as runProgram, temporaryFolder } from "../../support/program.ts";
import { type Doing, type History, moment } from "../events.ts";
import { fill, prune, register, reset } from "./keepers.ts";
import { inDatabase, onNats } from "./kept.ts";
import { follow, readByCommand, readByRequest, readToTheEnd } from "./readers.ts";
import { sendByCommand, sendOnce, sendUntilAnswered } from "./senders.ts";
import { look, order, signal, work } from "./sessions.ts";
import { buildPrograms, workAndDie } from "./workers.ts";
import { createWorld, firstServer, type Making, serverThatDies, type World } from "./world.ts";

export interface Running {
  readonly seed: number;
  readonly seconds: number;
  readonly secure: boolean;
  /** A reset in the middle. */
  readonly reset: boolean;
  /** A small disk, which is full now and then. */
  readonly disk?: string | undefined;
  /** The address of a bus on a NATS server that keeps it, instead of a database. */
  readonly nats?: string | undefined;
}

/** The channels, by what happens in them. `c0` has racing readers of one name, `c1` is pruned. */
const CHANNELS = ["c0", "c1"];
const MAILBOX = "@mail";

const AGENTS: readonly (readonly [channel: string, agent: string])[] = [
  ["c0", "killed"],
  ["c0", "racing"],
  ["c0", "follower"],
  ["c0", "far-follower"],
  ["c1", "killed"],
  ["c1", "http"],
  ["c1", "typed"],
  [MAILBOX, "mail"],
];

/** A random while of a whole bus, with all that may be killed being killed; then it is left to come to rest. */
export async function run({ seed, seconds, secure, reset: resets, disk, nats }: Running): Promise<History> {
  using folder = temporaryFolder();
  const kept = nats === undefined ? inDatabase(join(disk ?? folder.path, "bus.db")) : onNats(nats);
  const path = kept.where;
  const environment = { ...kept.environment, HOME: folder.path };
  const secrets = secure ? await secured(folder.path, environment) : undefined;
  await kept.introduce(AGENTS);
  const over = new AbortController();
  const first = await firstServer(environment);
  const world = createWorld({ path, seed, environment, url: first.url, over: over.signal, secure: secrets });
  const programs = await buildPrograms(folder.path);
  const serving = serverThatDies(world, first);
  const key = secrets?.keyFile ?? "";
  const library = (n: number) => drivers[n % drivers.length] ?? "";
  const working = [
    ...[0, 1, 2].map((n) =>
      workAndDie(world, `w${n}`, programs.writer, (life) => [
        ...[path, `w${n}`, String(life), library(n), String(1 + n * 4)],
        ...[CHANNELS.join(","), key],
      ]),
    ),
    sendByCommand(world, "c0", "typed0"),
    sendByCommand(world, MAILBOX, "typed1"),
    sendUntilAnswered(world, "c0", "sure0"),
    sendUntilAnswered(world, "c1", "sure1"),
    sendOnce(world, "c1", "once"),
    ...CHANNELS.map((channel, n) =>
      workAndDie(world, `r${n}`, programs.reader, () => [path, channel, "killed", library(n)]),
    ),
    workAndDie(world, "r2", programs.reader, () => [path, "c0", "racing", library(2)]),
    readByCommand(world, "c0", "racing", "racer"),
    readByCommand(world, "c1", "typed", "typed"),
    readByRequest(world, "c1", "http"),
    readByRequest(world, MAILBOX, "mail"),
    follow(world, { channel: "c0", agent: "follower", dies: true }),
    follow(world, { channel: "c0", agent: "far-follower", dies: false, url: world.url }),
    order(world),
    ...["one", "two"].map((name) => work(world, name)),
    signal(world, "level"),
    look(world, "level"),
    ...(disk ? [fill(world)] : [prune(world, "c1")]),
    ...(secure ? [register(world, folder.path)] : []),
    ...(resets ? [reset(world, seconds * 500)] : []),
  ];
  const end = moment() + seconds * 1_000;
  const timer = setInterval(() => {
    if (moment() > end && (isEnough(world) || moment() > end + MAX_MORE_MS)) over.abort();
  }, 50);
  try {
    const [server] = await Promise.all([serving, ...working]);
    server.child.kill("SIGKILL");
    await server.ended;
  } finally {
    clearInterval(timer);
    over.abort();
  }
  await kept.leasesEnd();
  world.log("time", { kind: "passed" });
  for (const [channel, agent] of AGENTS) await readToTheEnd(world, channel, agent);
  return { events: world.events, left: await kept.left() };
}

/** A busy machine gets more time to do what there is to check. */
const MAX_MORE_MS = 30_000;

/** Enough must have happened for "no violations" to mean something. Logs of processes come when they end. */
function isEnough({ events }: World): boolean {
  const count = (wanted: Doing["kind"]) => events.filter(({ kind }) => kind === wanted).length;
  return count("acknowledged") > 50 && count("printed") > 100 && count("done") > 2;
}

/** An operator, and the one agent that everybody sends as. */
async function secured(folder: string, environment: Environment): Promise<NonNullable<Making["secure"]>> {
  const operatorKey = join(folder, "ops.key");
  const { stdout } = await runProgram(["seed", "ops"], environment);
  writeFileSync(operatorKey, stdout, { mode: 0o600 });
  const sender = createIdentity("sender");
  const [keyFile, publicFile] = [join(folder, "sender.key"), join(folder, "sender.pub")];
  writeFileSync(keyFile, sender.privatePem, { mode: 0o600 });
  writeFileSync(publicFile, sender.publicPem);
  const signed = ["--as", "ops", "--key", operatorKey];
  await runProgram(["register", "sender", "--pubkey", publicFile, ...signed], environment);
  return { did: didOf(identityOf("ops", stdout)), keyFile, operatorKey };
}
