/** The kinds of failure. Each surface translates them once. */
export const errorCodes = ["invalid", "unauthorized", "not_found", "conflict", "internal"] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** Details of a code that a client or an operator may want to tell apart. */
export const reasons = [
  "too_large",
  "busy",
  "unauthenticated",
  "unsigned_message",
  "unknown_sender",
  "invalid_signature",
  "wrong_audience",
  "stale",
  "replay",
  "revoked",
  "unauthorized_registration",
  "invalid_token",
  "not_yours",
  "from_beyond",
] as const;
export type Reason = (typeof reasons)[number];

const BRAND = Symbol.for("el-ipc.error");

/** A sentence about fields, under the names that `nameOf` gives them. */
export type FieldSentence = (nameOf: (field: string) => string) => string;

/** An expected failure; its message is a sentence for the user. Anything else thrown is a bug. */
export class IpcError extends Error {
  readonly code: ErrorCode;
  readonly reason: Reason | undefined;
  /** The message for a surface with its own names for fields, such as a command line's flags. */
  readonly sentence: FieldSentence | undefined;
  readonly [BRAND] = true;

  constructor(
    code: ErrorCode,
    message: string,
    reason?: Reason,
    { sentence, ...options }: ErrorOptions & { readonly sentence?: FieldSentence } = {},
  ) {
    super(message, options);
    this.name = "IpcError";
    this.code = code;
    this.reason = reason;
    this.sentence = sentence;
  }
}

/** Checks a brand, since each built file holds its own copy of the class. */
export function isIpcError(error: unknown): error is IpcError {
  return typeof error === "object" && error !== null && BRAND in error;
}

export function invalid(message: string, reason?: Reason): IpcError {
  return new IpcError("invalid", message, reason);
}

export function invalidFields(sentence: FieldSentence, reason?: Reason): IpcError {
  const message = sentence((field) => field);
  return new IpcError("invalid", message, reason, { sentence });
}

export function unauthorized(message: string, reason?: Reason): IpcError {
  return new IpcError("unauthorized", message, reason);
}

export function notFound(message: string): IpcError {
  return new IpcError("not_found", message);
}

export function conflict(message: string, reason?: Reason): IpcError {
  return new IpcError("conflict", message, reason);
}

/** The part of an error that a user may see: an expected failure's sentence, and nothing of a bug. */
export function publicError(error: unknown): { code: ErrorCode; message: string; reason: Reason | undefined } {
  if (isIpcError(error)) return { code: error.code, message: error.message, reason: error.reason };
  return { code: "internal", message: "Internal error", reason: undefined };
}

/** An error as every server answers it, in this order of fields. */
export type ErrorAnswer = Readonly<{ ok: false; error: string; code: ErrorCode; reason: Reason | undefined }>;

export function errorAnswer(error: unknown): ErrorAnswer {
  const { code, message, reason } = publicError(error);
  return { ok: false, error: message, code, reason };
}

/** The error that a server reported; `fallback` is its message where the server gave none. */
export function remoteError(report: unknown, fallback: string): IpcError {
  const { code, error, reason }: Readonly<Record<string, unknown>> = Object(report);
  const sentence = typeof error === "string" ? error : fallback;
  const hint = sentence === "unauthorized" ? ": set IPC_API_KEY to the server's key" : "";
  return new IpcError(
    errorCodes.find((known) => known === code) ?? "internal",
    sentence + hint,
    reasons.find((known) => known === reason),
  );
}

/** Whether the system reported this code, such as ENOENT. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** A count with its noun, given in the plural: `1 message`, `2 messages`. */
export function formatCount(count: number, plural: string): string {
  return `${count} ${count === 1 ? plural.slice(0, -1) : plural}`;
}
