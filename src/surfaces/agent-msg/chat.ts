import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { printable } from "../../wire/printable.ts";
import type { Chat } from "./context.ts";
import { writeWhole } from "./folder.ts";

export interface Chatting {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
  /** Where what was typed is remembered until the next time. */
  readonly historyFile: string;
}

/** Lines from a pipe: what is printed is printed, and the end of the lines is not the end of listening. */
export function pipedChat({ input, print, note }: Chatting): Chat & Disposable {
  const lines = createInterface({ input });
  return {
    print,
    note,
    lines: endless(lines),
    know: () => {},
    [Symbol.dispose]: () => lines.close(),
  };
}

const PROMPT = "> ";
const CLEAR_LINE = "\r\u001b[K";
const REMEMBERED_LINES = 200;
const COMMANDS = ["/who", "/help", "/quit"];

/**
 * A line to type on at the foot of what comes: with the arrow keys what was typed before, this time or another, and with
 * the tab key the names of those who are there.
 */
export function terminalChat({ input, output, print, note, historyFile }: Chatting): Chat & Disposable {
  let names: readonly string[] = [];
  const lines = createInterface({
    input,
    output,
    terminal: true,
    prompt: PROMPT,
    history: remembered(historyFile),
    historySize: REMEMBERED_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string) => [completed(line, names), line],
  });
  let history: readonly string[] = [];
  lines.on("history", (all: string[]) => {
    history = all;
  });
  lines.on("line", () => lines.prompt());
  let left = false;
  lines.on("close", () => {
    left = true;
  });
  const above = (say: (text: string) => void) => (text: string) => {
    output.write(CLEAR_LINE);
    say(text);
    if (!left) lines.prompt(true);
  };
  lines.prompt();
  return {
    print: above(print),
    note: above(note),
    lines: ending(lines),
    know: (known) => {
      names = known;
    },
    [Symbol.dispose]() {
      if (!left) output.write(CLEAR_LINE);
      lines.close();
      if (history.length > 0) writeWhole(historyFile, `${history.toReversed().join("\n")}\n`);
    },
  };
}

/** What a line that names nobody yet could go on as. */
export function completed(line: string, names: readonly string[]): string[] {
  if (/\s/.test(line)) return [];
  // One that isn't what it looks like is written out by whoever means it.
  const plain = names.filter((name) => printable(name) === name);
  return [...plain.map((name) => `${name} `), ...COMMANDS].filter((word) => word.startsWith(line));
}

/** Until Ctrl-C or Ctrl-D. */
async function* ending(lines: Interface): AsyncGenerator<string, void, void> {
  lines.on("SIGINT", () => lines.close());
  yield* lines;
}

async function* endless(lines: Interface): AsyncGenerator<string, void, void> {
  yield* lines;
  await new Promise(() => {});
}

function remembered(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .toReversed()
      .slice(0, REMEMBERED_LINES);
  } catch {
    return [];
  }
}
