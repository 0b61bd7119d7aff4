type Json = Readonly<Record<string, unknown>>;

/**
 * What is wrong with a value by a JSON Schema of a document: its places, and why. Stricter than the schema says: what it
 * doesn't name may not be there.
 */
export function faultsOf(document: Json, schema: Json, value: unknown, at = "answer"): readonly string[] {
  const faults = (part: unknown, of: unknown, where: string) => faultsOf(document, Object(part), of, where);
  if (typeof schema.$ref === "string") {
    const parts = schema.$ref.slice(2).split("/");
    return faults(
      parts.reduce<unknown>((found, part) => Object(found)[part], document),
      value,
      at,
    );
  }
  if (Array.isArray(schema.anyOf)) {
    const tried = schema.anyOf.map((part) => faults(part, value, at));
    return tried.some((found) => found.length === 0) ? [] : [`${at}: ${JSON.stringify(value)} is none of these`];
  }
  if ("const" in schema) return schema.const === value ? [] : [`${at}: ${JSON.stringify(value)}`];
  const types = [schema.type ?? []].flat();
  if (types.length === 0) return [];
  if (!types.includes(typeOf(value))) return [`${at}: ${JSON.stringify(value)} is no ${types.join(" or ")}`];
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return [`${at}: ${value}`];
  if (Array.isArray(value)) return value.flatMap((item, index) => faults(schema.items, item, `${at}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  const properties: Json = Object(schema.properties);
  const missing = [schema.required ?? []].flat().filter((name) => !Object.hasOwn(value, String(name)));
  return [
    ...missing.map((name) => `${at} has no ${name}`),
    ...Object.entries(value).flatMap(([name, part]) =>
      Object.hasOwn(properties, name)
        ? faults(properties[name], part, `${at}.${name}`)
        : [`${at}.${name} is undeclared`],
    ),
  ];
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
