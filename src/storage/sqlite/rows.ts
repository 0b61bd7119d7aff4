import type { Row } from "./driver.ts";

/** A row's values with the types that the tables say they have; the original stores whatever it was given. */
export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null;
}

export function row(value: unknown): Row | undefined {
  return isRow(value) ? value : undefined;
}

export function textOf(from: Row, column: string): string {
  const value = from[column];
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
  return typeof value === "string" ? value : value === null || value === undefined ? "" : String(value);
}

export function numberOf(from: Row, column: string): number {
  const value = Number(from[column]);
  return Number.isFinite(value) ? value : 0;
}

export function nullableOf(from: Row, column: string): string | null {
  return from[column] === null ? null : textOf(from, column);
}

export function nullableNumberOf(from: Row, column: string): number | null {
  return from[column] === null ? null : numberOf(from, column);
}

export function jsonOf(from: Row, column: string): unknown {
  try {
    return JSON.parse(textOf(from, column));
  } catch {
    return null;
  }
}
