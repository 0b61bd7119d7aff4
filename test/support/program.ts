import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const entry = fileURLToPath(new URL("../../sources.d/ipc-server.js", import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Program extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Result>;
  /** Waits until its standard error holds this. */
  said(text: string | RegExp): Promise<string>;
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

/** The built program as a user starts it, with nothing of this process's environment but where to find programs. */
export function start(words: readonly string[], environment: Readonly<Record<string, string>>, input = ""): Program {
  const child = spawn(process.execPath, [entry, ...words], {
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...environment },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = new Promise<Result>((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  return {
    child,
    ended,
    async said(text) {
      const holds = () => (typeof text === "string" ? stderr.includes(text) : text.test(stderr));
      while (!holds()) {
        if (child.exitCode !== null) throw new Error(`it ended without saying ${text}: ${stderr}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return stderr;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

export function run(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  input = "",
): Promise<Result> {
  return start(words, environment, input).ended;
}

/** A server of the built program on a port of its own. */
export async function startServer(environment: Readonly<Record<string, string>>, ...words: string[]) {
  const program = start(["serve", "0", ...words], environment);
  const log = await program.said('"event":"listening"');
  const url = /"url":"([^"]+)"/.exec(log)?.[1] ?? "";
  return { ...program, url, [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
}
