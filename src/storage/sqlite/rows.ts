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
