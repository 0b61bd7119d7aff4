import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { printable } from "../../wire/printable.ts";
import { replaceFile } from "./folder.ts";

export interface Chat {
  print(text: string): void;
  note(text: string): void;
  /** The typed lines. The chat is over when they end. */
  readonly lines: AsyncIterable<string>;
  /** Offers these names for completion. */
  know(names: readonly string[]): void;
}

export interface ChatSettings {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
  readonly historyFile: string;
}

/** A chat over pipes. It keeps listening after the last line of its input. */
export function createPipedChat({ input, print, note }: ChatSettings): Chat & Disposable {
  const lines = createInterface({ input });
  return {
    print,
    note,
    lines: readForever(lines),
    know: () => {},
    [Symbol.dispose]: () => lines.close(),
  };
}

async function* readForever(lines: Interface): AsyncGenerator<string, void, void> {
  yield* lines;
  await new Promise(() => {});
}

const PROMPT = "> ";
const CLEAR_LINE = "\r\u001b[K";
const HISTORY_LINES = 200;
const COMMANDS = ["/who", "/help", "/quit"];

/** A chat at a terminal. It prints above the line being typed, completes names, and keeps a history across chats. */
export function createTerminalChat({ input, output, print, note, historyFile }: ChatSettings): Chat & Disposable {
  let names: readonly string[] = [];
  const lines = createInterface({
    input,
    output,
    terminal: true,
    prompt: PROMPT,
    history: readHistory(historyFile),
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
    completer: (line: string) => [complete(line, names), line],
  });
  let history: readonly string[] = [];
  lines.on("history", (all: string[]) => {
    history = all;
  });
  lines.on("line", () => lines.prompt());
  lines.on("SIGINT", () => lines.close());
  let isClosed = false;
  lines.on("close", () => {
    isClosed = true;
  });
  const above = (write: (text: string) => void) => (text: string) => {
    output.write(CLEAR_LINE);
    write(text);
    if (!isClosed) lines.prompt(true);
  };
  lines.prompt();
  return {
    print: above(print),
    note: above(note),
    lines,
    know: (known) => {
      names = known;
    },
    [Symbol.dispose]() {
      if (!isClosed) output.write(CLEAR_LINE);
      lines.close();
      if (history.length > 0) replaceFile(historyFile, `${history.toReversed().join("\n")}\n`);
    },
  };
}

function complete(line: string, names: readonly string[]): string[] {
  if (/\s/.test(line)) return [];
  // A name with hidden or reordering characters must be typed in full.
  const plain = names.filter((name) => printable(name) === name);
  return [...plain.map((name) => `${name} `), ...COMMANDS].filter((word) => word.startsWith(line));
}

function readHistory(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .toReversed()
      .slice(0, HISTORY_LINES);
  } catch {
    return [];
  }
}
