import { closeSync, existsSync, mkdirSync, openSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode, IpcError, isIpcError } from "../../core/errors.ts";
import { isUnwritable } from "./driver.ts";

/** Makes a new file whose name says when, for its owner alone, and has it filled; where that fails there is none. */
export async function makeBackup(
  pathAt: (moment: string) => string,
  fill: (path: string) => Promise<void>,
): Promise<string> {
  const path = makeFile(pathAt);
  try {
    await fill(path);
  } catch (error) {
    unlinkSync(path);
    // Which may stand in words of its own by then.
    const cause = isIpcError(error) ? error.cause : error;
    throw isUnwritable(cause) ? backupFault(path, cause) : error;
  }
  return path;
}

/** SQLite takes an empty file for a new database. Who comes in the same moment gets the next one. */
function makeFile(pathAt: (moment: string) => string): string {
  for (let at = Date.now(); ; at++) {
    const path = pathAt(new Date(at).toISOString().replace(/[:.]/g, "-"));
    try {
      if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, "wx", 0o600));
      return path;
    } catch (error) {
      if (!hasCode(error, "EEXIST") || !existsSync(path)) throw backupFault(path, error);
    }
  }
}

function backupFault(backup: string, cause: unknown): IpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new IpcError(
    "internal",
    `The backup ${backup} can't be made, so nothing was removed: ${why}. ` +
      "Make room on its disk, and see whether this user may write to its folder; prune needs no backup",
    undefined,
    { cause },
  );
}
