import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const MAX_COMMAND_MS = 60_000;
const MAX_START_MS = 120_000;
const STOP_MS = 5_000;

export type Variables = Readonly<Record<string, string>>;

/**
 * What a started program sees: where programs and temporary files are, and what it is told. Nothing of what this
 * process was started with, so that no setting of whoever runs it (NODE_EXTRA_CA_CERTS costs a start 30 ms) counts.
 */
function environment(variables: Variables): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, TMPDIR: tmpdir(), HOME: "/nonexistent", LC_ALL: "C.UTF-8", ...variables };
}

export interface Ended {
  readonly milliseconds: number;
  readonly output: string;
}

/** Runs a whole command, from before it is started until it has ended. Throws where it fails. */
export function runCommand(
  words: readonly string[],
  variables: Variables = {},
  longestMs: number = MAX_COMMAND_MS,
): Ended {
  const [program = "", ...rest] = words;
  const started = performance.now();
  const { status, error, stdout, stderr } = spawnSync(program, rest, {
    env: environment(variables),
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    timeout: longestMs,
  });
  const milliseconds = performance.now() - started;
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${words.join(" ")} failed: ${stderr || stdout}`);
  return { milliseconds, output: stdout };
}

/** A program that runs for a while beside us. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** The next line that it prints. */
  line(): Promise<string>;
  /** Writes to its standard input. */
  tell(text: string): void;
  /** Waits for it to end by itself. */
  readonly ended: Promise<void>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const running = new Set<Child>();

/** Ends all that was started: whoever waits for one of them gets an error. */
export function stopAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

process.on("exit", stopAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

export function start(words: readonly string[], variables: Variables = {}): Running {
  const [program = "", ...rest] = words;
  const child: Child = spawn(program, rest, { env: environment(variables), stdio: ["pipe", "pipe", "pipe"] });
  running.add(child);
  child.stdin.on("error", () => {});

  const lines: string[] = [];
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  let partial = "";
  let complaint = "";
  let over = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (partial + text).split("\n");
    partial = parts.pop() ?? "";
    for (const line of parts) {
      const first = waiting.shift();
      if (first === undefined) lines.push(line);
      else first.resolve(line);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  const gone = () => new Error(`${words.join(" ").slice(0, 200)} ended early: ${complaint}`);
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      over = true;
      running.delete(child);
      for (const { reject } of waiting.splice(0)) reject(gone());
      resolve();
    };
    child.on("close", end);
    child.on("error", end);
  });

  return {
    pid: child.pid ?? 0,
    ended,
    line() {
      const line = lines.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (over) return Promise.reject(gone());
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    tell: (text) => void child.stdin.write(text),
    async [Symbol.asyncDispose]() {
      if (over) return;
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(killer);
    },
  };
}

/** The first line of a program that was just started, which says that it is ready. */
export async function ready(program: Running): Promise<string> {
  const timer = setTimeout(() => void program[Symbol.asyncDispose](), MAX_START_MS);
  try {
    return await program.line();
  } finally {
    clearTimeout(timer);
  }
}

const loadSql = fileURLToPath(new URL("../load-sql.ts", import.meta.url));

/** The command that runs a script of workers/, which is told what to do in one JSON text. */
export function workerCommand(name: string, task: unknown): readonly string[] {
  const script = fileURLToPath(new URL(`./workers/${name}.ts`, import.meta.url));
  return [process.execPath, "--import", loadSql, "--disable-warning=ExperimentalWarning", script, JSON.stringify(task)];
}

/** The next line of a worker, which is JSON. */
export async function answer(program: Running): Promise<unknown> {
  return JSON.parse(await program.line());
}

export async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
