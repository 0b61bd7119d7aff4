import type { IncomingMessage } from "node:http";
import { invalid } from "../../core/errors.ts";

export interface Target {
  readonly path: string;
  readonly query: string;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;

/** What a request's first line asks for. Throws where the request names more than one host: who asks must be sure. */
export function targetOf({ url = "", headers, rawHeaders }: IncomingMessage): Target {
  const named = rawHeaders.filter((text, index) => index % 2 === 0 && text.length === 4 && /^host$/i.test(text));
  if (named.length > 1) throw invalid("the request has more than one Host header");
  if (url.startsWith("/")) return split(url);
  // The whole address, as to a proxy. Its host counts, and must be the one that the header names.
  const [, host, rest] = ABSOLUTE.exec(url) ?? [];
  if (host === undefined || rest === undefined) return split(url);
  if (host.toLowerCase() !== headers.host?.toLowerCase()) {
    throw invalid("the request's address names one host, and its Host header another");
  }
  return split(rest.startsWith("/") ? rest : `/${rest}`);
}

function split(target: string): Target {
  const mark = target.indexOf("?");
  return mark === -1 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
