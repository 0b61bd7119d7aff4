import { printable } from "../wire/printable.ts";

export type Level = "debug" | "info" | "warn" | "error";

/** Writes one line of JSON per event. Must never get a secret: no header, query or body. */
export type Log = (level: Level, event: string, details?: Readonly<Record<string, unknown>>) => void;

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

export function createLog(least: Level, write: (line: string) => void): Log {
  return (level, event, details) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    write(`${printable(JSON.stringify({ time: new Date().toISOString(), level, event, ...details }))}\n`);
  };
}

export function errorDetails(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: error.message, stack: error.stack, ...(error.cause ? { cause: errorDetails(error.cause) } : {}) };
}
