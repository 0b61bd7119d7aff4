import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Environment, type Program, type Result, type Starting, start, temporaryFolder } from "./program.ts";

const entry = fileURLToPath(new URL("../../sources.d/agent-msg.js", import.meta.url));

/** A home with nothing in it: the folder of agent-msg and the bus are made there when they are needed. */
export interface Home extends Disposable {
  readonly path: string;
  readonly environment: Environment;
  /** agent-msg, to its end. */
  run(...words: string[]): Promise<Result>;
  start(words: readonly string[], starting?: Starting): Program;
  /** The output of a command that succeeds. */
  prints(...words: string[]): Promise<string>;
  /** el-ipc on the same bus. */
  bus(...words: string[]): Promise<Result>;
  file(...path: string[]): string;
  with(more: Environment): Home;
  inbox(agent: string): readonly string[];
  /** Does as the original's `send` does: writes in place. */
  writeAsOriginal(to: string, letter: object | string, name?: string): void;
}

export function temporaryHome(): Home {
  const folder = temporaryFolder();
  const file = (...path: string[]) => join(folder.path, ...path);
  const inboxOf = (agent: string) => file(".agent-msg", "inbox", agent);
  const on = (environment: Environment): Home => ({
    path: folder.path,
    environment,
    run: (...words) => start(words, environment, { entry }).ended,
    start: (words, starting = {}) => start(words, environment, { entry, ...starting }),
    async prints(...words) {
      const { code, stdout, stderr } = await start(words, environment, { entry }).ended;
      if (code !== 0 || stderr !== "") throw new Error(`it ended with ${code}: ${stdout}${stderr}`);
      return stdout;
    },
    bus: (...words) => start(words, environment).ended,
    file,
    with: (more) => on({ ...environment, ...more }),
    inbox: (agent) => (existsSync(inboxOf(agent)) ? readdirSync(inboxOf(agent)) : []),
    writeAsOriginal(to, letter, name = "original") {
      mkdirSync(inboxOf(to), { recursive: true });
      const text = typeof letter === "string" ? letter : JSON.stringify(letter, null, 2);
      writeFileSync(join(inboxOf(to), `${name}.json`), text);
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  });
  return on({ HOME: folder.path, IPC_DB_PATH: file("bus.db") });
}

export function jsonIn(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}
