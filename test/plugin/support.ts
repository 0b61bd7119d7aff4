import { spawn } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../..", import.meta.url));
export const script = join(repository, "sources.d", "ipc-server.sh");
export const hook = join(repository, "hooks", "session-start.sh");

export type Environment = Readonly<Record<string, string>>;
export type Outcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** An empty folder of the test's own. */
export function scratch(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "el-ipc-plugin-")));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with its folders. */
export function place(file: string, content: string, mode = 0o644): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
  return file;
}

/** A symbolic link with its folders. */
export function link(target: string, file: string): string {
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(target, file);
  return file;
}

/** Runs a program to its end, in nothing but the environment that is given. */
export function run(
  program: string,
  words: readonly string[],
  { env = {}, cwd, stdin = "" }: { env?: Environment; cwd?: string; stdin?: string } = {},
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const child = spawn(program, words, { env, ...(cwd === undefined ? {} : { cwd }) });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {
    // It may end without reading its input.
  });
  child.stdin.end(stdin);
  child.on("error", reject);
  child.on("close", (code) => resolve({ code, stdout, stderr }));
  return promise;
}

/** Where a program lies, by the PATH of whoever runs the tests. */
export function whereIs(name: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The shells of this machine that may have to run our scripts, each as a program with its first words. */
export function shells(): { name: string; program: string; words: string[] }[] {
  const known = [
    { name: "sh", words: [] },
    { name: "dash", words: [] },
    { name: "bash", words: [] },
    { name: "busybox", words: ["sh"] },
    { name: "zsh", words: ["--emulate", "sh"] },
  ];
  return known.flatMap(({ name, words }) => {
    const program = whereIs(name);
    return program === undefined ? [] : [{ name, program, words }];
  });
}

/** The environment in which the bus of this repository runs for a test: its own home and database, this Node. */
export function busEnvironment(folder: string): Environment {
  return {
    PATH: "/usr/bin:/bin",
    HOME: join(folder, "home"),
    IPC_DB_PATH: join(folder, "bus.db"),
    EL_IPC_NODE: process.execPath,
    CLAUDE_PLUGIN_ROOT: repository,
  };
}

/** Waits until something holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`${what}: not within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function jsonOf(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(repository, ...path), "utf8"));
}

export function isThere(...path: string[]): boolean {
  return existsSync(join(repository, ...path));
}
