import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { askObject, objectsIn, type Question, type Reply } from "./http.ts";
import { createIdentity, didOf, type Identity, identityOf } from "./identity.ts";
import { type Result, run, start, startServer } from "./program.ts";

type Variables = Readonly<Record<string, string>>;

/** A database and a home of its own, gone with the test. */
export interface Bus extends Disposable {
  readonly environment: Variables;
  readonly database: string;
  readonly home: string;
  file(name: string): string;
  /** Writes a file, readable by its owner alone unless it says otherwise; answers with its path. */
  write(name: string, content: string | Uint8Array, mode?: number): string;
  run(...words: string[]): Promise<Result>;
  runWith(more: Variables, ...words: string[]): Promise<Result>;
  start(...words: string[]): ReturnType<typeof start>;
  serve(more?: Variables, ...words: string[]): Promise<Server>;
  /** The unread messages of an agent, read from the database itself. */
  read(channel: string, agent: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  sql(statement: string, ...values: (string | number)[]): readonly Readonly<Record<string, unknown>>[];
}

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly child: ReturnType<typeof start>["child"];
  untilLogged(text: string | RegExp): Promise<string>;
  ended: Promise<Result>;
  ask(what: string, question?: Question): Promise<Reply>;
}

/** A bus in secure mode: operator `ops`, agents `herald` and `scout`. */
export interface SecureBus extends Bus {
  readonly ops: Identity;
  readonly herald: Identity;
  readonly scout: Identity;
  readonly did: string;
  /** A file with somebody's private key. */
  keyOf(who: Identity): string;
}

export function openBus(): Bus {
  const folder = mkdtempSync(join(tmpdir(), "el-ipc-trust-"));
  const database = join(folder, "bus.db");
  const environment = { HOME: folder, IPC_DB_PATH: database };
  let written = 0;
  const bus: Bus = {
    environment,
    database,
    home: folder,
    file: (name) => join(folder, name),
    write(name, content, mode = 0o600) {
      // Tests that run at the same time write the same key: nobody may find it half there.
      const file = join(folder, name);
      writeFileSync(`${file}.${++written}`, content, { mode });
      renameSync(`${file}.${written}`, file);
      return file;
    },
    run: (...words) => run(words, environment),
    runWith: (more, ...words) => run(words, { ...environment, ...more }),
    start: (...words) => start(words, environment),
    async serve(more = {}, ...words) {
      const server = await startServer({ ...environment, ...more }, ...words);
      const { url, child, untilLogged: said, ended } = server;
      const port = Number(new URL(url).port);
      const near = `http://127.0.0.1:${port}`;
      return {
        url: near,
        port,
        child,
        untilLogged: said,
        ended,
        ask: (what, question) => askObject(near, what, question),
        [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
      };
    },
    async read(channel, agent) {
      const { stdout } = await succeeded(run(["read", channel, agent], environment));
      return objectsIn(stdout);
    },
    sql(statement, ...values) {
      const open = new DatabaseSync(database);
      try {
        return open.prepare(statement).all(...values);
      } finally {
        open.close();
      }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
  return bus;
}

/** The first of a test file is made by the program itself; the others are copies of it. */
export async function secureBus(): Promise<SecureBus> {
  template ??= makeTemplate();
  const { folder, ops, herald, scout } = await template;
  const bus = openBus();
  copyFileSync(folder.database, bus.database);
  const keyOf = (who: Identity) => bus.write(`${who.name}.key`, who.privatePem);
  return { ...bus, ops, herald, scout, did: didOf(ops), keyOf };
}

let template: ReturnType<typeof makeTemplate> | undefined;

async function makeTemplate() {
  const folder = openBus();
  process.once("exit", () => folder[Symbol.dispose]());
  const { stdout } = await succeeded(folder.run("seed", "ops"));
  const ops = identityOf("ops", stdout);
  const key = folder.write("ops.key", stdout);
  const [herald, scout] = [createIdentity("herald"), createIdentity("scout")];
  for (const { name, publicPem } of [herald, scout]) {
    const file = folder.write(`${name}.pub`, publicPem);
    await succeeded(folder.run("register", name, "--pubkey", file, "--as", "ops", "--key", key));
  }
  return { folder, ops, herald, scout };
}

export async function succeeded(result: Promise<Result>): Promise<Result> {
  const done = await result;
  if (done.code !== 0) throw new Error(`it ended with ${done.code}: ${done.stderr}`);
  return done;
}

/** Waits until something holds. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
