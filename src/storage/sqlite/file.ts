import { closeSync, constants, existsSync, lstatSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode, IpcError } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";

/** SQLite keeps these beside the database file itself. */
const COMPANIONS = ["", "-wal", "-shm", "-journal"];

/**
 * Makes the file, readable by its owner alone, where there is none. In a folder that others can write to, refuses what
 * somebody else has put there in its place.
 */
export function prepareFile(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder))
    throw new IpcError("invalid", `The database ${path} can't be opened: ${folder} doesn't exist`);
  makeFile(path);
  // Only now: what somebody puts there between a look and the making would pass unseen.
  if (isShared(folder)) for (const companion of COMPANIONS) refuseForeign(path + companion);
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
 * Refuses to use a file that isn't there any more (a cleaned /tmp, say): what is written to it now is gone with this
 * process, and who waits for others' writes waits in vain. Looks once in a while, for those who live long.
 */
export function createFileCheck(path: string): () => void {
  const opened = statSync(path).ino;
  let looked = monotonicMs();
  return () => {
    if (monotonicMs() - looked < CHECK_MS) return;
    if (statSync(path, { throwIfNoEntry: false })?.ino !== opened) {
      throw new IpcError(
        "internal",
        `The database ${path} was removed or replaced while it was in use: start again to use it`,
      );
    }
    looked = monotonicMs();
  };
}

function isShared(folder: string): boolean {
  return process.platform !== "win32" && (statSync(folder).mode & 0o002) !== 0;
}

function refuseForeign(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isSymbolicLink()) throw refused(path, "it is a symbolic link");
  if (!found.isFile()) throw refused(path, "it is not a file");
  if (found.uid !== process.getuid?.()) throw refused(path, "it belongs to somebody else");
}

function refused(path: string, why: string): IpcError {
  return new IpcError(
    "invalid",
    `The database ${path} is refused: ${why}, in a folder that others can write to. Set IPC_DB_PATH to a file of your own`,
  );
}
