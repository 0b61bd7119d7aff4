import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopAll } from "./processes.ts";

/** A folder for a while, gone with all that is in it. */
export interface Folder extends Disposable {
  readonly path: string;
  file(name: string): string;
}

const folders = new Set<string>();

// Also where this process itself is ended. Whoever still writes there goes first.
process.on("exit", () => {
  stopAll();
  for (const path of folders) remove(path);
});

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "el-ipc-bench-"));
  folders.add(path);
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => remove(path),
  };
}

function remove(path: string): void {
  folders.delete(path);
  rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
