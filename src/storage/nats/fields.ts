/** Values that were read from a server, with the types that they are stored with. */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

export function textIn(from: Fields, name: string): string {
  const value = from[name];
  return typeof value === "string" ? value : "";
}

export function numberIn(from: Fields, name: string): number {
  const value = from[name];
  return typeof value === "number" ? value : 0;
}

export function jsonOf(data: Uint8Array): unknown {
  return JSON.parse(Buffer.from(data).toString());
}
