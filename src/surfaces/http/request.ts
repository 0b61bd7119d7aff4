import type { IncomingMessage } from "node:http";
import { type IpcError, invalid } from "../../core/errors.ts";
import { isJsonObject } from "../../core/json.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { parseTexts } from "../../operations/fields.ts";
import { type BufferBudget, tooManyLargeRequests } from "../../server/budget.ts";
import type { Found } from "./routes.ts";

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;

/** Throws if the request names more than one host. */
export function targetOf({ url = "", headers, rawHeaders }: IncomingMessage): ReturnType<typeof splitTarget> {
  const hosts = rawHeaders.filter((text, index) => index % 2 === 0 && text.length === 4 && /^host$/i.test(text));
  if (hosts.length > 1) throw invalid("the request has more than one Host header");
  if (url.startsWith("/")) return splitTarget(url);
  // An absolute URL, as sent to a proxy. Its host must be the Host header's.
  const [, host, rest] = ABSOLUTE.exec(url) ?? [];
  if (host === undefined || rest === undefined) return splitTarget(url);
  if (host.toLowerCase() !== headers.host?.toLowerCase()) {
    throw invalid("the request's address names one host, and its Host header another");
  }
  return splitTarget(rest.startsWith("/") ? rest : `/${rest}`);
}

function splitTarget(target: string) {
  const mark = target.indexOf("?");
  return mark === -1 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Reads the input of an operation from a request's path, query and body. */
export async function readInput(
  request: IncomingMessage,
  { route, parameters }: Found,
  query: string,
  budget: BufferBudget,
): Promise<Record<string, unknown>> {
  const { operation, method, translated } = route;
  const { fields, body } = operation.input;
  const inQuery = parseQuery(query);
  const resume = request.headers["last-event-id"];
  if (typeof resume === "string" && Object.hasOwn(fields, "since")) inQuery.since = resume;
  const inPath = Object.fromEntries(Object.entries(parameters).map(([name, text]) => [name, decodeText(text)]));
  const fromPath = parseTexts(fields, inPath);
  const fromQuery = parseTexts(fields, inQuery);
  const readText = async () => decodeUtf8(await readBody(request, budget));
  const fromBody =
    body !== undefined
      ? { [body]: parseJson(await readText()) }
      : method === "POST"
        ? parseObject(await readText())
        : {};
  const input: Record<string, unknown> = { ...fromQuery, ...fromBody, ...fromPath };
  for (const [name, field] of translated) {
    const value = input[name];
    if (field.callerOnly) delete input[name];
    else if (field.httpMilliseconds && typeof value === "number") input[name] = value / 1_000;
  }
  return input;
}

export function isTooLarge(request: IncomingMessage): boolean {
  return Number(request.headers["content-length"] ?? 0) > BODY_BYTES;
}

/** Uses events: an async iterator costs several promise turns even for a small body. */
export function readBody(request: IncomingMessage, budget: BufferBudget): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (isTooLarge(request)) return reject(tooLarge());
    if (request.destroyed) return reject(endedEarly());
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > BODY_BYTES) return stop(tooLarge());
      if (!budget.hold(request, length, () => {})) return stop(tooManyLargeRequests());
      chunks.push(chunk);
    };
    const stop = (failure?: IpcError) => {
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      budget.release(request);
      if (failure !== undefined) reject(failure);
      else resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    };
    const onEnd = () => stop();
    const onClose = () => stop(endedEarly());
    request.on("data", onData).on("end", onEnd).on("close", onClose);
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

function parseObject(text: string): object {
  if (text.trim() === "") return {};
  const value = parseJson(text);
  if (isJsonObject(value)) return value;
  throw invalid("the body must be a JSON object");
}

function parseQuery(query: string): Record<string, string> {
  const texts = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const [name = "", ...value] = pair.replaceAll("+", " ").split("=");
    const key = decodeText(name);
    if (texts.has(key)) throw invalid(`${JSON.stringify(key)} is given twice`);
    texts.set(key, decodeText(value.join("=")));
  }
  return Object.fromEntries(texts);
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

function tooLarge(): IpcError {
  return invalid("the body is too large: 6 MiB at most, and 1 MiB of content", "too_large");
}
