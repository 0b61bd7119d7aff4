import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The Python original, where the user has it: run beside us, for the same work. */
export interface Original {
  /** Its command line, as one types it. */
  command(...words: readonly string[]): readonly string[];
  /** Parts of it in one process; see drive-original.py. */
  drive(task: "serve" | "send" | "grow", ...seconds: readonly number[]): readonly string[];
  /** Whether its Python can sign. */
  readonly signs: boolean;
}

const driver = fileURLToPath(new URL("./drive-original.py", import.meta.url));

export function originalAt(given: string): Original {
  const path = resolve(given);
  if (!existsSync(path)) throw new Error(`${given} doesn't exist`);
  // The Python that comes with the system often has the cryptography package where a newer one hasn't.
  const pythons = ["python3", "/usr/bin/python3"].filter((python) => runs(python, "import sqlite3"));
  const signing = pythons.find((python) => runs(python, "import cryptography"));
  const python = signing ?? pythons[0];
  if (python === undefined) throw new Error("--original needs python3");
  return {
    // -B: nothing is left beside somebody else's file.
    command: (...words) => [python, "-B", path, ...words],
    drive: (task, ...seconds) => [python, "-B", driver, path, task, ...seconds.map(String)],
    signs: signing !== undefined,
  };
}

function runs(python: string, code: string): boolean {
  return spawnSync(python, ["-c", code], { stdio: "ignore" }).status === 0;
}
