import { closeSync, createReadStream, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { formatCount, hasCode, invalid, isIpcError } from "./core/errors.ts";
import { createImporter, type Exported, exportBus, type Imported, readLine } from "./core/moving.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { clearProgress, print, printNote, showProgress, whyOf } from "./surfaces/cli/terminal.ts";
import { createLineSplitter, decodeLine, encodeLine } from "./wire/json-lines.ts";
import { onOneLine } from "./wire/printable.ts";

/** A content of escapes only grows sixfold in JSON; what a command holds is no larger. */
const MAX_LINE = 16 * 1024 * 1024;

/** Writes the whole bus to a file, or goes on with what such a file has already; without one to standard output. */
export async function exportTo(environment: Environment, file: string | undefined, signal: AbortSignal): Promise<void> {
  await using bus = await openBus(environment, { port: () => environment.port, signal });
  const to = file === undefined || file === "-" ? undefined : await openExport(file);
  const write = to === undefined ? (line: Exported) => print(JSON.stringify(line)) : to.write;
  const progress = to === undefined ? undefined : showProgress;
  let messages = 0;
  try {
    for await (const line of exportBus(bus.store, {
      after: to?.last ?? 0,
      now: bus.now(),
      ...(progress && { progress }),
    })) {
      if (signal.aborted) return;
      write(line);
      if ("message" in line) messages++;
    }
    to?.flush();
  } finally {
    clearProgress();
    to?.close();
  }
  if (to !== undefined)
    print(
      `${formatCount(messages, "messages")}${to.last > 0 ? " that were new" : ""}, and all else, are in ${to.name}`,
    );
}

/** Brings what a file holds into the bus; `-` is standard input. */
export async function importFrom(environment: Environment, file: string, signal: AbortSignal): Promise<void> {
  // What is brought in may be the operator that a database has lost.
  await using bus = await openBus(environment, { port: () => environment.port, seeding: true, signal });
  const importer = await createImporter(bus.store, bus.now);
  let [lines, done] = [0, 0];
  const take = async (line: Buffer): Promise<void> => {
    try {
      await importer.take(decodeLine(line));
    } catch (error) {
      if (isIpcError(error) && error.code === "invalid") {
        throw invalid(`line ${lines} of ${nameOf(file)}: ${error.message}`);
      }
      throw error;
    }
  };
  try {
    for await (const { line, bytes, of } of linesOf(file)) {
      if (signal.aborted) return;
      lines++;
      done += bytes;
      await take(line);
      if (of > 0 && lines % 500 === 0) showProgress({ done, of });
    }
  } finally {
    clearProgress();
    const { channels, operators } = importer.imported;
    for (const channel of channels) bus.wakeup.ring(channel);
    if (operators > 0) bus.secured();
  }
  report(importer.imported, file);
}

function report({ stored, there, kept, complete }: Imported, file: string): void {
  const listed = (counts: Imported["stored"]) =>
    Object.entries(counts).flatMap(([kind, count]) => (count > 0 ? [formatCount(count, kind)] : []));
  const [were, are] = [listed(there), listed(stored)];
  print(
    `imported ${are.length > 0 ? are.join(", ") : "nothing"}${were.length > 0 ? `; there already: ${were.join(", ")}` : ""}`,
  );
  for (const sentence of kept) printNote(`Note: ${sentence}`);
  if (complete) return;
  throw invalid(
    `${nameOf(file)} ends early: what it holds was imported. Export to it again, which goes on where it ends, and import it again`,
  );
}

/** A file as a sentence names it. */
function nameOf(file: string): string {
  return file === "-" ? "standard input" : onOneLine(file);
}

interface OpenExport {
  /** As a sentence names it. */
  readonly name: string;
  /** The last message that it holds. */
  readonly last: number;
  write(line: Exported): void;
  /** All of it is on the disk when this answers. */
  flush(): void;
  close(): void;
}

/** A new file, for its owner alone; or one that holds an export, without what was broken off at its end. */
async function openExport(file: string): Promise<OpenExport> {
  const opened = openOr(file, "a+");
  try {
    let [last, length, lines] = [0, 0, 0];
    for await (const { line, bytes, whole } of linesOf(file)) {
      const value = decodeLine(line);
      if (lines++ === 0 && (readLine(value) === undefined || !whole))
        throw invalid(`${nameOf(file)} exists, and is no export`);
      if (!whole) break;
      const said = readLine(value);
      if (said !== undefined && "message" in said) last = said.message.id;
      length += bytes;
    }
    ftruncateSync(opened, length);
    return {
      name: nameOf(file),
      last,
      write: (line) => writeAll(opened, Buffer.from(encodeLine(line)), file),
      flush: () => fsyncSync(opened),
      close: () => closeSync(opened),
    };
  } catch (error) {
    closeSync(opened);
    throw error;
  }
}

function writeAll(opened: number, bytes: Buffer, file: string): void {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(opened, bytes, done);
  } catch (error) {
    if (!hasCode(error, "ENOSPC")) throw error;
    throw invalid(
      `${nameOf(file)} can't grow: the disk is full. Make room and export to it again, which goes on where it ends`,
    );
  }
}

function openOr(file: string, flags: string): number {
  try {
    return openSync(file, flags, 0o600);
  } catch (error) {
    throw invalid(`${nameOf(file)} can't be opened: ${whyOf(error)}`);
  }
}

interface FoundLine {
  readonly line: Buffer;
  /** With its end. */
  readonly bytes: number;
  /** Its end was there. */
  readonly whole: boolean;
  /** Bytes of the whole file, where that is one. */
  readonly of: number;
}

async function* linesOf(file: string): AsyncGenerator<FoundLine, void, void> {
  const opened = file === "-" ? 0 : openOr(file, "r");
  const { size: of } = fstatSync(opened);
  const splitter = createLineSplitter(MAX_LINE);
  for await (const chunk of createReadStream(file, {
    fd: opened,
    autoClose: file !== "-",
    highWaterMark: 256 * 1024,
  })) {
    const lines: Buffer[] = [];
    const fits = splitter.push(chunk, (line) => void lines.push(line));
    for (const line of lines) yield { line, bytes: line.length + 1, whole: true, of };
    if (!fits) throw invalid(`${nameOf(file)} holds a line that is longer than ${MAX_LINE} bytes`);
  }
  const rest = splitter.rest();
  if (rest.length > 0) yield { line: rest, bytes: rest.length, whole: false, of };
}
