import { closeSync, createReadStream, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { explainFileError } from "./client/files.ts";
import { formatCount, hasCode, invalid, isIpcError } from "./core/errors.ts";
import { createImporter, type Exported, exportBus, type Imported, readLine } from "./core/moving.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { clearProgress, print, printNote, showProgress } from "./surfaces/cli/terminal.ts";
import { createLineSplitter, decodeLine, encodeLine } from "./wire/json-lines.ts";
import { onOneLine } from "./wire/printable.ts";

/** Escaping makes a message's content at most six times longer. Commands are limited alike. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Writes the whole bus to a file or to standard output. An earlier export gets only what is new. */
export async function exportTo(environment: Environment, file: string | undefined, signal: AbortSignal): Promise<void> {
  await using bus = await openBus(environment, { port: () => environment.port, signal });
  const to = file === undefined || file === "-" ? undefined : await openExport(file);
  const write = to === undefined ? (line: Exported) => print(JSON.stringify(line)) : to.write;
  const progress = to === undefined ? {} : { progress: showProgress };
  let messages = 0;
  try {
    for await (const line of exportBus(bus.store, { after: to?.last ?? 0, now: bus.now(), ...progress })) {
      if (signal.aborted) return;
      write(line);
      if ("message" in line) messages++;
    }
    to?.flush();
  } finally {
    clearProgress();
    to?.close();
  }
  if (to === undefined) return;
  const counted = formatCount(messages, to.last > 0 ? "new messages" : "messages");
  print(`exported ${counted} and everything else to ${to.name}`);
}

/** Imports an export from a file, or from standard input for `-`. */
export async function importFrom(environment: Environment, file: string, signal: AbortSignal): Promise<void> {
  // Seeding, since the export may hold the operator that a database has lost.
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
    for await (const { line, bytes, fileBytes } of readLines(file)) {
      if (signal.aborted) return;
      lines++;
      done += bytes;
      await take(line);
      if (fileBytes > 0 && lines % 500 === 0) showProgress({ done, of: fileBytes });
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
  const list = (counts: Imported["stored"]) =>
    Object.entries(counts)
      .flatMap(([kind, count]) => (count > 0 ? [formatCount(count, kind)] : []))
      .join(", ");
  const known = list(there);
  print(`imported ${list(stored) || "nothing"}${known && `; there already: ${known}`}`);
  for (const sentence of kept) printNote(`Note: ${sentence}`);
  if (complete) return;
  throw invalid(
    `${nameOf(file)} ends early: what it holds was imported. Export to it again, which continues where it ends, and import it again`,
  );
}

/** Names a file in a sentence. */
function nameOf(file: string): string {
  return file === "-" ? "standard input" : onOneLine(file);
}

/** Creates a file that only its owner may read, or opens an earlier export and cuts off its interrupted line. */
async function openExport(file: string) {
  const opened = openFile(file, "a+");
  try {
    let [last, length] = [0, 0];
    for await (const { line, bytes, isWhole } of readLines(file)) {
      if (length > 0 && !isWhole) break;
      const read = readLine(decodeLine(line));
      if (length === 0 && (read === undefined || !isWhole))
        throw invalid(`${nameOf(file)} exists and is not an export`);
      if (read?.kind === "messages") last = read.record.id;
      length += bytes;
    }
    ftruncateSync(opened, length);
    return {
      name: nameOf(file),
      /** The id of the file's last message, or 0. */
      last,
      write: (line: Exported) => writeAll(opened, Buffer.from(encodeLine(line)), file),
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
      `${nameOf(file)} can't grow: the disk is full. Make room and export to it again, which continues where it ends`,
    );
  }
}

function openFile(file: string, flags: string): number {
  try {
    return openSync(file, flags, 0o600);
  } catch (error) {
    throw invalid(`${nameOf(file)} can't be opened: ${explainFileError(error)}`);
  }
}

interface FileLine {
  readonly line: Buffer;
  /** Includes the line end. */
  readonly bytes: number;
  /** Whether the line has its end. */
  readonly isWhole: boolean;
  /** The size of the file; 0 for a pipe. */
  readonly fileBytes: number;
}

async function* readLines(file: string): AsyncGenerator<FileLine, void, void> {
  const fd = file === "-" ? 0 : openFile(file, "r");
  const { size: fileBytes } = fstatSync(fd);
  const splitter = createLineSplitter(MAX_LINE_BYTES);
  for await (const chunk of createReadStream(file, { fd, autoClose: file !== "-", highWaterMark: 256 * 1024 })) {
    const lines: Buffer[] = [];
    const fits = splitter.push(chunk, (line) => void lines.push(line));
    for (const line of lines) yield { line, bytes: line.length + 1, isWhole: true, fileBytes };
    if (!fits) throw invalid(`${nameOf(file)} holds a line that is longer than ${MAX_LINE_BYTES} bytes`);
  }
  const rest = splitter.rest();
  if (rest.length > 0) yield { line: rest, bytes: rest.length, isWhole: false, fileBytes };
}
