import type { Field } from "../../operations/fields.ts";
import type { Argument, Operation, Quote } from "../../operations/operation.ts";
import { visible } from "../../wire/printable.ts";

export type ToolOperation = Operation & { readonly tool: NonNullable<Operation["tool"]> };

type Property = { type?: string; enum?: string[]; items?: { type: string }; description?: string };

/** An argument of every tool: the caller's session, for clients whose connection has none. */
export const SESSION_ARGUMENT = "peer_id";

export function isTool(operation: Operation): operation is ToolOperation {
  return operation.tool !== undefined;
}

/** A tool's arguments, each with the model's name for it and its field. */
export function argumentsOf({
  tool,
  input: { fields },
}: ToolOperation): readonly (Argument & { name: string; field: string })[] {
  return Object.entries(tool.arguments).flatMap(([field, argument]) =>
    argument === undefined || fields[field] === undefined ? [] : [{ ...argument, name: argument.name ?? field, field }],
  );
}

export function describeTool(operation: ToolOperation) {
  const { tool, access, input } = operation;
  const properties: Record<string, Property> = {};
  const required: string[] = [];
  for (const { name, field, description, type } of argumentsOf(operation)) {
    const rule = input.fields[field];
    if (rule === undefined) continue;
    const text = description ?? rule.description;
    properties[name] = {
      ...(type === undefined ? schemaOf(rule) : { type }),
      ...(text === "" ? {} : { description: text }),
    };
    if (!rule.optional && tool.fallback === undefined) required.push(name);
  }
  return {
    name: tool.name,
    description: tool.description,
    inputSchema: {
      type: "object" as const,
      properties: { ...properties, [SESSION_ARGUMENT]: { type: "string" } },
      ...(required.length === 0 ? {} : { required }),
    },
    annotations:
      access.level === "reader"
        ? { readOnlyHint: true }
        : { destructiveHint: access.level === "keeper", ...(tool.isRepeatable ? { idempotentHint: true } : {}) },
  };
}

const KINDS: Readonly<Record<Field["kind"], Property>> = {
  text: { type: "string" },
  number: { type: "number" },
  flag: { type: "boolean" },
  json: {},
  list: { type: "array", items: { type: "string" } },
};

function schemaOf({ kind, schema }: Field): Property {
  if (schema === undefined) return KINDS[kind];
  return { ...KINDS[kind], type: schema.type, ...(schema.enum === undefined ? {} : { enum: [...schema.enum] }) };
}

/** Characters of quoted text in one answer; beyond them, each text is cut to FEW_CHARACTERS. */
const MAX_CHARACTERS = 60_000;
const FEW_CHARACTERS = 200;

/** Text that could pass for our own mark, even with odd spacing or look-alike characters. */
const MARK = /[<\uFE64\uFF1C](?=[\s\p{C}]*[/\u2044\u2215\uFF0F]?[\s\p{C}]*d[\p{C}]*a[\p{C}]*t[\p{C}]*a)/giu;

/** Marks text from others on the bus as theirs, in one answer. The text can neither end its mark nor make another. */
export function createQuote(): Quote {
  let left = MAX_CHARACTERS;
  return ({ from, text, proof = "unverified" }) => {
    const most = Math.max(left, FEW_CHARACTERS);
    left -= text.length;
    return `<data from="${escapeAttribute(from)}" trust="${proof}">${escapeText(cut(text, most))}</data>`;
  };
}

function escapeText(text: string): string {
  return showHidden(text).replace(MARK, "&lt;");
}

function escapeAttribute(text: string): string {
  return showHidden(text).replace(/[&"<>\n\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function showHidden(text: string): string {
  return visible(text, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most).toWellFormed()} [cut: ${text.length - most} more characters]`;
}
