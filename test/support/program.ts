import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const entry = fileURLToPath(new URL("../../sources.d/ipc-server.js", import.meta.url));

export type Environment = Readonly<Record<string, string>>;

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Result>;
  /** Waits until its standard error holds this. */
  untilLogged(text: string | RegExp): Promise<string>;
  /** Waits until its standard output holds this. */
  untilPrinted(text: string | RegExp): Promise<string>;
}

export interface Starting {
  /** The contents of its standard input; null leaves it open and empty. */
  readonly input?: string | Uint8Array | null;
  /** Options of Node itself. */
  readonly node?: readonly string[];
  /** Another copy of the program. */
  readonly entry?: string;
  readonly cwd?: string;
}

/** A folder of its own for a test, gone with it. */
export function temporaryFolder(): Disposable & { readonly path: string; file(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "el-ipc-test-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

let home: string | undefined;

/** The home folder of what a test file starts, unless it names another. */
export function temporaryHome(): string {
  if (home === undefined) {
    const made = mkdtempSync(join(tmpdir(), "el-ipc-home-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    home = made;
  }
  return home;
}

/** The environment of a started program: where to find programs, and nothing else of this process's. */
export function environmentOf(more: Environment): Environment {
  return { PATH: process.env.PATH ?? "", HOME: temporaryHome(), ...more };
}

const started = new Set<ChildProcessWithoutNullStreams>();

// A test that is ended, for taking too long say, leaves no server behind.
process.on("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});
process.once("SIGTERM", () => process.exit(143));

/** The built program as a user starts it. */
export function start(words: readonly string[], environment: Environment, starting: string | Starting = ""): Program {
  const {
    input = "",
    node = [],
    entry: file = entry,
    cwd,
  } = typeof starting === "string" ? { input: starting } : starting;
  const child = spawn(process.execPath, [...node, file, ...words], { env: environmentOf(environment), cwd });
  started.add(child);
  child.on("exit", () => started.delete(child));
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {});
  if (input !== null) child.stdin.end(input);
  const ended = new Promise<Result>((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  const holds = async (text: string | RegExp, output: () => string) => {
    while (!(typeof text === "string" ? output().includes(text) : text.test(output()))) {
      if (child.exitCode !== null) throw new Error(`it ended without saying ${text}: ${stdout}${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return output();
  };
  return {
    child,
    ended,
    untilLogged: (text) => holds(text, () => stderr),
    untilPrinted: (text) => holds(text, () => stdout),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

export function run(
  words: readonly string[],
  environment: Environment,
  starting: string | Starting = "",
): Promise<Result> {
  return start(words, environment, starting).ended;
}

export interface Server extends Program {
  readonly url: string;
  readonly port: number;
}

/** A server of the built program on a port of its own. */
export function startServer(environment: Environment, ...words: string[]): Promise<Server> {
  return untilListening(start(["serve", "0", ...words], environment));
}

/** A server that was started, once it listens. */
export async function untilListening(program: Program): Promise<Server> {
  const log = await program.untilLogged('"event":"listening"');
  const url = /"url":"([^"]+)"/.exec(log)?.[1] ?? "";
  return { ...program, url, port: Number(new URL(url).port), [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
}

/** Whether there is such a process. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until something holds. */
export async function waitUntil(
  holds: () => boolean | Promise<boolean>,
  what: string,
  milliseconds = 10_000,
): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const loadSql = new URL("../../scripts/load-sql.ts", import.meta.url).href;

/** A file of the tests as a process of its own, which may use what is in src. */
export function startModule(
  module: URL,
  words: readonly string[],
  environment: Environment = {},
  starting: Starting = {},
): Program {
  const node = ["--import", loadSql, "--no-warnings"];
  return start(words, environment, { ...starting, entry: fileURLToPath(module), node });
}
