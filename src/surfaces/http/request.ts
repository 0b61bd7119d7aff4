import type { IncomingMessage } from "node:http";
import { IpcError, invalid } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { parseTexts } from "../../operations/fields.ts";
import type { Found } from "./routes.ts";

/** What a request asks for: its body, or for GET its query, with what its path says. */
export async function inputOf(request: IncomingMessage, found: Found, query: string): Promise<Record<string, unknown>> {
  const input = await everything(request, found, query);
  for (const [name, field] of found.route.translated) {
    const value = input[name];
    if (field.callerOnly) delete input[name];
    else if (field.httpMilliseconds && typeof value === "number") input[name] = value / 1_000;
  }
  return input;
}

async function everything(request: IncomingMessage, found: Found, query: string): Promise<Record<string, unknown>> {
  const { operation, method } = found.route;
  const asked = parseQuery(query);
  const resume = request.headers["last-event-id"];
  if (typeof resume === "string" && Object.hasOwn(operation.input.fields, "since")) asked.since = resume;
  const named = parseTexts(operation.input.fields, decoded(found.parameters));
  const typed = parseTexts(operation.input.fields, asked);
  if (operation.input.body !== undefined)
    return { ...typed, [operation.input.body]: parseJson(await readText(request)), ...named };
  const body = method === "POST" ? await readObject(request) : {};
  return { ...typed, ...body, ...named };
}

export function isTooLarge(request: IncomingMessage): boolean {
  return Number(request.headers["content-length"] ?? 0) > BODY_BYTES;
}

async function readText(request: IncomingMessage): Promise<string> {
  return decodeUtf8(await readBody(request));
}

async function readObject(request: IncomingMessage): Promise<object> {
  const text = await readText(request);
  if (text.trim() === "") return {};
  const value = parseJson(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw invalid("the body must be a JSON object");
}

/** So much of any body is always taken; the rest of all that are on their way at once holds no more than this. */
const SMALL_BYTES = 64 * 1024;
const MAX_HELD = 128 * 1024 * 1024;

let held = 0;

/** By events: an async iterator costs a small body several turns of promises. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (isTooLarge(request)) return reject(tooLarge());
    if (request.destroyed) return reject(endedEarly());
    const chunks: Buffer[] = [];
    let length = 0;
    let large = 0;
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (length > BODY_BYTES) return stop(tooLarge());
      const more = Math.max(0, length - SMALL_BYTES) - large;
      large += more;
      held += more;
      if (held > MAX_HELD) return stop(tooMany());
      chunks.push(chunk);
    };
    const stop = (failure?: IpcError) => {
      request.off("data", take).off("end", end).off("close", breakOff);
      held -= large;
      if (failure !== undefined) reject(failure);
      else resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    };
    const end = () => stop();
    const breakOff = () => stop(endedEarly());
    request.on("data", take).on("end", end).on("close", breakOff);
  });
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

function decodeUtf8(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw invalid("the body must be UTF-8");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("the body must be JSON");
  }
}

function parseQuery(query: string): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const [name = "", ...value] = pair.replaceAll("+", " ").split("=");
    const key = decodeText(name);
    if (Object.hasOwn(texts, key)) throw invalid(`${JSON.stringify(key)} is given twice`);
    Object.defineProperty(texts, key, {
      value: decodeText(value.join("=")),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return texts;
}

function decoded(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, text]) => [name, decodeText(text)]));
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid("the address is not well encoded: use %XX of UTF-8");
  }
}

function endedEarly(): IpcError {
  return invalid("the body ended too early");
}

function tooMany(): IpcError {
  return new IpcError("internal", "too many large requests are on their way: try again in a moment", "busy");
}

function tooLarge(): IpcError {
  return invalid("the body is too large: 6 MiB at most, and 1 MiB of content", "too_large");
}
