import { closeSync, constants, existsSync, lstatSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode, IpcError } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";

/** The endings of the files that SQLite keeps for a database, its own first. */
const COMPANIONS = ["", "-wal", "-shm", "-journal"];

/**
 * Makes the file where there is none, readable by its owner alone. In a folder that other users can write to, refuses a
 * file of another user.
 */
export function prepareFile(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder))
    throw new IpcError("invalid", `The database ${path} can't be opened: ${folder} doesn't exist`);
  makeFile(path);
  // After the file was made: an earlier check would miss a file that another user puts there in between.
  const isShared = process.platform !== "win32" && (statSync(folder).mode & 0o002) !== 0;
  if (isShared) for (const companion of COMPANIONS) refuseForeign(path + companion);
}

function makeFile(path: string): void {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600));
  } catch (error) {
    if (hasCode(error, "EEXIST")) return;
    const cause = error instanceof Error ? error.message : String(error);
    throw new IpcError("invalid", `The database ${path} can't be made: ${cause}`, undefined, { cause: error });
  }
}

const CHECK_MS = 1_000;

/**
 * Creates a check that throws once the file was removed or replaced, as when /tmp is cleaned: writes to it would be lost
 * with this process, and writes of others never seen. The check looks once a second at most.
 */
export function createFileCheck(path: string): () => void {
  const inode = statSync(path).ino;
  let checkedAt = monotonicMs();
  return () => {
    if (monotonicMs() - checkedAt < CHECK_MS) return;
    if (statSync(path, { throwIfNoEntry: false })?.ino !== inode) {
      throw new IpcError(
        "internal",
        `The database ${path} was removed or replaced while it was in use: start again to use it`,
      );
    }
    checkedAt = monotonicMs();
  };
}

function refuseForeign(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isSymbolicLink()) throw refusal(path, "it is a symbolic link");
  if (!found.isFile()) throw refusal(path, "it is not a file");
  if (found.uid !== process.getuid?.()) throw refusal(path, "it belongs to somebody else");
}

function refusal(path: string, why: string): IpcError {
  return new IpcError(
    "invalid",
    `The database ${path} is refused: ${why}, in a folder that others can write to. Set IPC_DB_PATH to a file of your own`,
  );
}
