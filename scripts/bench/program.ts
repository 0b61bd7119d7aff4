import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Folder } from "./folder.ts";
import { type Running, ready, runCommand, start, type Variables } from "./processes.ts";

const entry = fileURLToPath(new URL("../../sources.d/ipc-server.js", import.meta.url));

export type Durability = "full" | "normal";

/** The built program, as it is installed. */
export function command(...words: readonly string[]): readonly string[] {
  return [process.execPath, entry, ...words];
}

/** The environment that names the database to the program, ours or the original, with a home of its own. */
export function on(folder: Folder, database = "bus.db", durability: Durability = "full"): Variables {
  return { HOME: folder.path, IPC_DB_PATH: folder.file(database), IPC_DURABILITY: durability };
}

export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

/** Our server on a free port of this machine. */
export function serve(variables: Variables): Promise<Server> {
  return serveBy(["serve", "0"], variables);
}

/** Our broker over TCP, likewise. */
export function serveBroker(variables: Variables): Promise<Server> {
  return serveBy(["tcp", "broker", "0"], variables);
}

async function serveBy(words: readonly string[], variables: Variables): Promise<Server> {
  // It says where it listens on standard error, so that is what is read.
  const program = start(["sh", "-c", 'exec "$@" 2>&1', "sh", ...command(...words)], variables);
  const said = await ready(program);
  const port = Number(/"url":"\w+:\/\/[^"]*:(\d+)"/.exec(said)?.[1]);
  if (!(port > 0)) throw new Error(`the server did not start: ${said}`);
  return serverOf(program, port);
}

/** Any other server that says its port in its first line, as `{"port": N}`. */
export async function serveOther(words: readonly string[], variables: Variables = {}): Promise<Server> {
  const program = start(words, variables);
  const said: unknown = JSON.parse(await ready(program));
  if (typeof said !== "object" || said === null || !("port" in said) || typeof said.port !== "number") {
    throw new Error(`${words.join(" ")} did not say its port`);
  }
  return serverOf(program, said.port);
}

function serverOf(program: Running, port: number): Server {
  return { port, pid: program.pid, [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
}

export interface Keys {
  readonly sender: string;
  readonly file: string;
}

/** Puts the bus into secure mode, with an operator and one agent that can sign. The original finds both there too. */
export function secure(folder: Folder, variables: Variables): Keys {
  const { output } = runCommand(command("seed", "operator"), variables);
  const operator = folder.file("operator.key");
  const herald = folder.file("herald");
  writeFileSync(operator, output, { mode: 0o600 });
  runCommand(command("keygen", "--out", herald), variables);
  runCommand(
    command("register", "herald", "--pubkey", `${herald}.pub`, "--as", "operator", "--key", operator),
    variables,
  );
  return { sender: "herald", file: `${herald}.key` };
}
