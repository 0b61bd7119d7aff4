import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

/** Answers each line of standard input with a line of JSON, until there are no more: how a worker is told to begin. */
export async function answerLines(round: (line: string) => object | Promise<object>): Promise<void> {
  say({ ready: 1 });
  for await (const line of createInterface({ input: process.stdin })) say(await round(line));
}

export function say(answer: object): void {
  writeSync(1, `${JSON.stringify(answer)}\n`);
}

export function taskText(): string {
  return process.argv[2] ?? "{}";
}
