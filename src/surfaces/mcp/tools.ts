import type { Field } from "../../operations/fields.ts";
import type { Operation } from "../../operations/operation.ts";
import type { Argument } from "../../operations/tool.ts";

/** An operation that is a tool. */
export type ToolOperation = Operation & { readonly tool: NonNullable<Operation["tool"]> };

/** A tool as a client lists it. */
export interface ListedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: {
    readonly type: "object";
    readonly properties: Record<string, Property>;
    readonly required?: string[];
  };
  readonly annotations: Readonly<Record<string, boolean>>;
}

/** An argument's JSON Schema. */
type Property = { type?: string; enum?: string[]; items?: { type: string }; description?: string };

/** What every tool takes besides its own arguments: which session calls, for clients whose connection doesn't say it. */
export const SESSION_ARGUMENT = "peer_id";

export function isTool(operation: Operation): operation is ToolOperation {
  return operation.tool !== undefined;
}

/** A tool's arguments: the name that a model gives each, and its field. */
export function argumentsOf({ tool, input }: ToolOperation): readonly (Argument & { name: string; field: string })[] {
  return Object.entries(tool.arguments).flatMap(([field, argument]) =>
    argument === undefined || input[field] === undefined ? [] : [{ ...argument, name: argument.name ?? field, field }],
  );
}

/** The tool, as the table says it, in the words of the protocol. */
export function listed(operation: ToolOperation): ListedTool {
  const { tool, access, input } = operation;
  const properties: Record<string, Property> = {};
  const required: string[] = [];
  for (const { name, field, about, type } of argumentsOf(operation)) {
    const rule = input[field];
    if (rule === undefined) continue;
    properties[name] = { ...(type === undefined ? schemaOf(rule) : { type }), ...described(about ?? rule.about) };
    if (!rule.optional && tool.otherwise === undefined) required.push(name);
  }
  return {
    name: tool.name,
    description: tool.about,
    inputSchema: {
      type: "object",
      properties: { ...properties, [SESSION_ARGUMENT]: { type: "string" } },
      ...(required.length === 0 ? {} : { required }),
    },
    annotations:
      access === "reader"
        ? { readOnlyHint: true }
        : { destructiveHint: access === "keeper", ...(tool.repeatable ? { idempotentHint: true } : {}) },
  };
}

function described(about: string): { description?: string } {
  return about === "" ? {} : { description: about };
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
