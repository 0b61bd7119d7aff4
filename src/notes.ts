import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What this user's el-ipc remembers outside of any database: lists of lines in a folder of its own, to read and to edit. */
export interface Notes {
  /** Files that have had an operator. One without is not what it was, and not to be used as if it were new. */
  hasDatabase(path: string): boolean;
  /** Answers whether it could be noted. */
  addDatabase(path: string): boolean;
  readonly databasesFile: string;

  /** Whom a server said to be when it was first signed for. */
  serverDid(url: string): string | undefined;
  addServer(url: string, did: string): boolean;
  readonly serversFile: string;
}

export function createNotes(folder: string): Notes {
  const databasesFile = join(folder, "databases");
  const serversFile = join(folder, "servers");

  const add = (file: string, line: string): boolean => {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      appendFileSync(file, `${line}\n`, { mode: 0o600 });
      return true;
    } catch {
      return false;
    }
  };

  return {
    hasDatabase: (path) => lines(databasesFile).includes(path),
    addDatabase: (path) => lines(databasesFile).includes(path) || add(databasesFile, path),
    databasesFile,
    serverDid: (url) => {
      const line = lines(serversFile).find((known) => known.startsWith(`${url} `));
      return line?.slice(url.length + 1);
    },
    addServer: (url, did) => add(serversFile, `${url} ${did}`),
    serversFile,
  };
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
