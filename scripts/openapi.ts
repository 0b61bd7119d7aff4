import { errorCodes, reasons } from "../src/core/errors.ts";
import { CONTENT_BYTES, MAX_WAIT_SECONDS, WAIT_SECONDS } from "../src/core/limits.ts";
import type { Field } from "../src/operations/fields.ts";
import { methodName, type Operation } from "../src/operations/operation.ts";
import type { Route } from "../src/surfaces/http/routes.ts";
import type { AnswerSchemas } from "./schemas.ts";

type Json = Readonly<Record<string, unknown>>;

const LICENCE = { name: "MIT", identifier: "MIT" };

/** The HTTP requests of a server as OpenAPI 3.1: the table's routes and the server's own. */
export function openApiOf(routes: readonly Route[], { answers, named }: AnswerSchemas, version: string): Json {
  const paths = new Map<string, Json>();
  for (const route of routes) {
    const place = placeOf(route.path, [...paths.keys()]);
    paths.set(place, { ...paths.get(place), [route.method.toLowerCase()]: operationOf(route, place, answers) });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "el-ipc",
      version,
      summary: "A durable, signed and fast message bus for coding agents and the people beside them",
      description: DESCRIPTION,
      license: LICENCE,
    },
    servers: [{ url: "/" }],
    security: SECURITY,
    paths: { ...Object.fromEntries(paths), ...OWN_PATHS },
    components: {
      schemas: { Error: ERROR, Timeout: TIMEOUT, ...named },
      responses: Object.fromEntries(
        Object.entries(FAILURES).map(([status, description]) => [`e${status}`, failure(description)]),
      ),
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", description: "The server's IPC_API_KEY, where it has one" },
        token: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "Says which agent asks, in secure mode: an EdDSA JWT, made by `el-ipc token`",
        },
      },
    },
  };
}

/** Two paths that differ in nothing but what their parameters are called are one to OpenAPI: the name that came first. */
function placeOf(path: string, known: readonly string[]): string {
  const place = path.replace(/:(\w+)/g, "{$1}");
  const shape = shapeOf(place);
  return known.find((other) => shapeOf(other) === shape) ?? place;
}

function shapeOf(place: string): string {
  return place.replace(/\{\w+\}/g, "{}");
}

const DESCRIPTION = [
  "Times are seconds, but for the waits for commands and signals, which take milliseconds.",
  `Waits last ${WAIT_SECONDS} seconds unless \`timeout\` says otherwise, and ${MAX_WAIT_SECONDS} at most.`,
  "Who comes from this machine needs neither key nor token in open mode.",
].join(" ");

/** Each may be enough, and on this machine nothing may be. */
const SECURITY = [{}, { apiKey: [] }, { token: [] }];

const ERROR = {
  type: "object",
  required: ["ok", "error", "code"],
  properties: {
    ok: { const: false },
    error: { type: "string", description: "A sentence" },
    code: { type: "string", enum: errorCodes },
    reason: { type: "string", enum: reasons, description: "For programs, where there is one" },
  },
};

const FAILURES = {
  400: "Something is missing or not as it must be",
  401: "The API key, or a token, is needed",
  403: "A signature, a token or a key isn't good, or isn't good for this",
  404: "There is no such thing",
  409: "The name or the role is taken, the command has ended otherwise, or the nonce was used for something else",
  413: "The content or the body is too large",
  500: "A fault of the server's, or its database is in trouble",
  503: "Too many large bodies are on their way at once; again in a moment",
} as const;

function failure(description: string): Json {
  return answered(description, { $ref: "#/components/schemas/Error" });
}

const OWN_PATHS = {
  "/metrics": {
    get: {
      operationId: "metrics",
      summary: "Figures for Prometheus",
      responses: { 200: { description: "Figures", content: { "text/plain": { schema: { type: "string" } } } } },
    },
  },
  "/openapi.json": {
    get: {
      operationId: "openapi",
      summary: "This document",
      responses: {
        200: { description: "This document", content: { "application/json": { schema: { type: "object" } } } },
      },
    },
  },
};

function operationOf({ operation, method, path }: Route, place: string, answers: AnswerSchemas["answers"]): Json {
  const told = Object.entries(operation.input.fields).filter(([, field]) => !field.callerOnly);
  const parts = path.split("/");
  const called = (name: string) => place.split("/")[parts.indexOf(`:${name}`)]?.slice(1, -1) ?? name;
  const inPath = ([name]: readonly [string, Field]) => parts.includes(`:${name}`);
  const others = told.filter((entry) => !inPath(entry));
  const ofBody = others.filter(([name]) =>
    operation.input.body === undefined ? method === "POST" : name === operation.input.body,
  );
  const ofQuery = others.filter((entry) => !ofBody.includes(entry));
  const parameters = [
    ...told.filter(inPath).map(([name, field]) => parameter("path", [called(name), field])),
    ...ofQuery.map((entry) => parameter("query", entry)),
  ];
  const body = bodyOf(operation, ofBody);
  return {
    operationId: methodName(operation.name),
    summary: operation.summary,
    ...(operation.details === undefined ? {} : { description: operation.details }),
    tags: [parts[1]],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: responsesOf(operation, method, answers.get(operation.name) ?? {}),
    "x-access": operation.access.level,
  };
}

function parameter(place: "path" | "query", [name, field]: readonly [string, Field]): Json {
  const required = place === "path" || !field.optional;
  const commas = field.kind === "list" ? { style: "form", explode: false } : {};
  return { name, in: place, required, description: field.description, schema: schemaOf(field), ...commas };
}

function bodyOf(operation: Operation, fields: readonly (readonly [string, Field])[]): Json | undefined {
  const [only] = fields;
  if (only === undefined) return undefined;
  const whole = operation.input.body === only[0];
  const required = fields.filter(([, field]) => !field.optional).map(([name]) => name);
  const schema = whole
    ? schemaOf(only[1])
    : {
        type: "object",
        ...(required.length === 0 ? {} : { required }),
        properties: Object.fromEntries(
          fields.map(([name, field]) => [name, { ...schemaOf(field), description: field.description }]),
        ),
      };
  return { required: whole || required.length > 0, content: { "application/json": { schema } } };
}

function schemaOf({ kind, schema, httpMilliseconds, maxBytes }: Field): Json {
  if (httpMilliseconds) return { type: "number", minimum: 0, description: "Milliseconds" };
  if (schema !== undefined) return { ...schema };
  switch (kind) {
    case "text":
      return { type: "string", ...(maxBytes === CONTENT_BYTES ? { maxLength: CONTENT_BYTES } : {}) };
    case "number":
      return { type: "number" };
    case "flag":
      return { type: "boolean" };
    case "list":
      return { type: "array", items: {} };
    case "json":
      return {};
  }
}

function responsesOf(operation: Operation, method: string, answer: Json): Json {
  const statuses = Object.keys(FAILURES).filter(
    (status) => method === "POST" || !["409", "413", "503"].includes(status),
  );
  return {
    200: operation.stream ? events(answer) : answered("The answer", withoutNull(answer)),
    ...(isInVain(answer) ? { 408: answered("The wait was in vain", { $ref: "#/components/schemas/Timeout" }) } : {}),
    ...Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/e${status}` }])),
  };
}

function answered(description: string, schema: Json): Json {
  return { description, content: { "application/json": { schema } } };
}

/** OpenAPI has no words for what is in an event; a schema for its data stands beside. */
function events(each: Json): Json {
  const description = "Server-sent events: `data` is JSON, `id` where to go on after a break";
  return { description, content: { "text/event-stream": { schema: { type: "string" }, "x-data": each } } };
}

/** A wait that ended with nothing answers null, which is a status of its own. */
function isInVain({ anyOf }: Json): boolean {
  return Array.isArray(anyOf) && anyOf.some(({ type }) => type === "null");
}

function withoutNull(answer: Json): Json {
  if (!isInVain(answer)) return answer;
  const parts = Object(answer.anyOf).filter(({ type }: Json) => type !== "null");
  return parts.length === 1 ? parts[0] : { anyOf: parts };
}

const TIMEOUT = {
  type: "object",
  required: ["ok", "error"],
  properties: { ok: { const: false }, error: { const: "timeout" } },
};
