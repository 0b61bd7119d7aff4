// JSON Schemas of what operations answer, made of the same types that the library has: its declarations, as
// scripts/declarations.ts puts them together.

export type Schema = Readonly<Record<string, unknown>>;

export interface AnswerSchemas {
  /** By the operation's name; of a stream what each of it is. */
  readonly answers: ReadonlyMap<string, Schema>;
  /** The schemas that answers refer to, by name. */
  readonly named: Readonly<Record<string, Schema>>;
}

const TOKEN = /\/\*\*.*?\*\/|"[^"\n]*"|=>|\w+|[^\s\w]/gs;

const OPENS = ["{", "[", "(", "<"];
const CLOSES = ["}", "]", ")", ">"];

/** Anything at all. */
const ANY: Schema = {};

const BASIC: Readonly<Record<string, Schema>> = {
  string: { type: "string" },
  number: { type: "number" },
  boolean: { type: "boolean" },
  null: { type: "null" },
  unknown: ANY,
  true: { const: true },
  false: { const: false },
};

/** The types of a property that may be missing. */
const ABSENT: Schema = { not: {} };

/** Of the operations that are wanted: the others may answer what no JSON has. */
export function answerSchemas(declarations: string, wanted: ReadonlySet<string>): AnswerSchemas {
  const tokens: readonly string[] = declarations.match(TOKEN) ?? [];
  const declared = new Map<string, number>();
  tokens.forEach((token, index) => {
    const name = tokens[index + 1];
    if ((token === "interface" || token === "type") && name !== undefined) declared.set(name, index + 2);
  });
  const named = new Map<string, Schema>();
  let at = 0;

  const is = (token: string) => tokens[at] === token;
  const take = (token: string): boolean => {
    if (!is(token)) return false;
    at++;
    return true;
  };
  const must = (token: string): void => {
    if (!take(token)) throw new Error(`expected ${token} before ${tokens.slice(at, at + 12).join(" ")}`);
  };
  const next = (): string => tokens[at++] ?? "";

  /** Goes past one type without looking into it. */
  const skip = (): void => {
    for (let depth = 0; depth > 0 || !(is(",") || is(">")); at++) {
      if (OPENS.includes(tokens[at] ?? "")) depth++;
      if (CLOSES.includes(tokens[at] ?? "")) depth--;
    }
  };

  const union = (): Schema => {
    take("|");
    const parts = [intersection()];
    while (take("|")) parts.push(intersection());
    return anyOf(parts);
  };

  const intersection = (): Schema => {
    const parts = [list()];
    while (take("&")) parts.push(list());
    const [only] = parts;
    return only !== undefined && parts.length === 1 ? only : { allOf: parts };
  };

  const list = (): Schema => {
    take("readonly");
    let schema = single();
    while (is("[") && tokens[at + 1] === "]") {
      at += 2;
      schema = { type: "array", items: schema };
    }
    return schema;
  };

  const single = (): Schema => {
    const token = next();
    if (token === "{") return object();
    if (token.startsWith('"')) return { const: JSON.parse(token) };
    if (token === "undefined" || token === "never") return ABSENT;
    const basic = Object.hasOwn(BASIC, token) ? BASIC[token] : undefined;
    return basic ?? reference(token);
  };

  const object = (): Schema => {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    while (!take("}")) {
      const about = tokens[at]?.startsWith("/**") ? saidIn(next()) : undefined;
      take("readonly");
      const name = next();
      const optional = take("?");
      must(":");
      const schema = union();
      must(";");
      const present = presentOf(schema);
      if (present === undefined) continue;
      properties[name] = about === undefined ? present : { ...present, description: about };
      if (!optional && present === schema) required.push(name);
    }
    if (Object.keys(properties).length === 0) return ANY;
    return { type: "object", ...(required.length === 0 ? {} : { required }), properties };
  };

  const reference = (name: string): Schema => {
    const from = declared.get(name);
    if (from === undefined) throw new Error(`${name} is no type that an answer can have`);
    if (!named.has(name)) {
      // Before it is known, for what refers to itself.
      named.set(name, ANY);
      const here = at;
      at = from;
      named.set(name, declaration());
      at = here;
    }
    return named.get(name) === ANY ? ANY : { $ref: `#/components/schemas/${name}` };
  };

  const declaration = (): Schema => {
    if (take("=")) return union();
    const parts: Schema[] = [];
    if (take("extends"))
      do parts.push(reference(next()));
      while (take(","));
    must("{");
    parts.push(object());
    const [only] = parts;
    return only !== undefined && parts.length === 1 ? only : { allOf: parts };
  };

  const answers = new Map<string, Schema>();
  at = tokens.findIndex((token, index) => token === "table" && tokens[index - 1] === "const") + 1;
  for (const token of [":", "readonly", "["]) must(token);
  do {
    for (const token of ["Typed", "<"]) must(token);
    const name = String(JSON.parse(next()));
    must(",");
    skip();
    must(",");
    if (wanted.has(name)) answers.set(name, union());
    else skip();
    for (let rest = 0; rest < 2; rest++) {
      must(",");
      skip();
    }
    must(">");
  } while (take(","));
  return { answers, named: Object.fromEntries([...named].toSorted(([one], [other]) => (one < other ? -1 : 1))) };
}

/** One of these, in as few words as will do. */
function anyOf(parts: readonly Schema[]): Schema {
  if (parts.includes(ANY)) return ANY;
  const [first, ...more] = parts;
  if (first === undefined || more.length === 0) return first ?? ANY;
  const values = parts.map((part) => part.const);
  if (values.every((value) => typeof value === "string")) return { type: "string", enum: values };
  const types = parts.map((part) => (Object.keys(part).length === 1 ? part.type : undefined));
  if (types.every((type) => type !== undefined)) return { type: types };
  return { anyOf: parts };
}

/** The type of a property where it is present; undefined where it never is. */
function presentOf(schema: Schema): Schema | undefined {
  if (schema === ABSENT) return undefined;
  const { anyOf: parts } = schema;
  if (!Array.isArray(parts) || !parts.includes(ABSENT)) return schema;
  return anyOf(parts.filter((part) => part !== ABSENT));
}

/** A comment's text. */
function saidIn(comment: string): string {
  return comment
    .replace(/^\/\*\*|\*\/$/g, "")
    .replace(/\s*\n\s*\* ?/g, " ")
    .trim();
}
