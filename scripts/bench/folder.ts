import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder for a while, gone with all that is in it. */
export interface Folder extends Disposable {
  readonly path: string;
  file(name: string): string;
}

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), "el-ipc-bench-"));
  const remove = () => rmSync(path, { recursive: true, force: true });
  // Also where the benchmark itself is ended.
  process.on("exit", remove);
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]() {
      process.off("exit", remove);
      remove();
    },
  };
}
