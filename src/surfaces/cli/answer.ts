import { conflict } from "../../core/errors.ts";
import type { Operation, Settlement } from "../../operations/operation.ts";
import type { Door } from "../../operations/perform.ts";
import type { Arguments } from "./arguments.ts";
import { writeFiles } from "./files.ts";
import { clearProgress, othersCanReadOutput, print, printNote, showProgress } from "./terminal.ts";

type Values = Readonly<Record<string, unknown>>;

const READABLE =
  "Warning: others can read the file that this private key went to; chmod 600 it, or begin with `umask 077`";

/** Prints an answer and, once it is printed, sees to what follows from it. */
export async function deliver(
  door: Door,
  operation: Operation,
  answer: unknown,
  input: Values,
  given: Arguments,
  signal: AbortSignal,
): Promise<void> {
  writeFiles(operation.files?.(answer, input) ?? []);
  const progress = operation.progress?.(answer);
  if (progress === undefined) clearProgress();
  else showProgress(progress);
  try {
    showAnswer(operation, answer, input, given);
  } catch (error) {
    await giveBack(door, operation, answer, input);
    throw error;
  }
  const note = operation.note?.(answer, input);
  if (note !== undefined) printNote(note);
  if (operation.secret?.(input) && othersCanReadOutput()) printNote(READABLE);
  refuseFailed([{ operation, answer, input }]);
  // Only now: what couldn't be written is not consumed.
  const settlement = operation.settle?.(answer, input);
  const settled = settlement === undefined ? [] : await answersTo(door, [settlement], signal);
  if (signal.aborted) return;
  refuseFailed(settled);
  const awaited = await answersTo(door, operation.awaits?.(answer, input) ?? [], signal);
  if (signal.aborted) return;
  for (const next of awaited) showAnswer(next.operation, next.answer, next.input, given);
  refuseFailed(awaited);
}

/** What couldn't be printed is there for others at once; a server that was asked for it waits for its lease to end. */
export async function giveBack(door: Door, operation: Operation, answer: unknown, input: Values): Promise<void> {
  const settlement = operation.undelivered?.(answer, input);
  if (settlement === undefined) return;
  try {
    await door(settlement.operation, settlement.input, new AbortController().signal);
  } catch {
    // As above.
  }
}

interface Answered {
  readonly operation: Operation;
  readonly answer: unknown;
  readonly input: Values;
}

function answersTo(door: Door, asked: readonly Settlement[], signal: AbortSignal): Promise<Answered[]> {
  return Promise.all(
    asked.map(async ({ operation, input }) => {
      return { operation, input: Object(input), answer: await door(operation, input, signal) };
    }),
  );
}

function refuseFailed(all: readonly Answered[]): void {
  const failures = all.flatMap(({ operation, answer, input }) => operation.failure?.(answer, input) ?? []);
  if (failures.length > 0) throw conflict(failures.join("; "));
}

function showAnswer(operation: Operation, answer: unknown, input: Values, { json }: Arguments): void {
  const shown = json ? JSON.stringify(answer) : operation.show(answer, input).replace(/\n$/, "");
  if (shown !== "") print(shown);
}
