import { invalid } from "./errors.ts";
import type { JsonObject } from "./json.ts";

/** Passes texts straight to a listener at an address. Nothing is stored. */
export interface Link {
  /** Resolves once the other end has taken the text. Waits for a listener where there is none yet. */
  send(address: Address, text: string, deadline: Deadline): Promise<void>;
  /** Milliseconds until the other end answered. */
  ping(address: Address, deadline: Deadline): Promise<number>;
  /** Waits at an address for one text, answering pings meanwhile; undefined once the time is up. */
  receive(address: Address, deadline: Deadline): Promise<ReceivedText | undefined>;
  /** Reports to the waiting sender of a text whether it arrived. */
  settle(receipt: number, arrived: boolean): Promise<void>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Deadline {
  readonly milliseconds: number;
  readonly signal: AbortSignal;
}

export interface ReceivedText {
  readonly text: string;
  readonly from: string;
  readonly receipt: number;
}

const ADDRESS = /^(?:\[([\da-f:.%\w]+)\]|([^\s:/[\]]+)|([\da-f]*:[\da-f:]*:[\da-f:.]*))(?::(\d{1,5}))?$/i;

/** Reads `host`, `host:port` or `[::1]:port`. */
export function parseAddress(text: string, defaultPort: number): Address {
  const [, bracketed, plain, colons, digits] = ADDRESS.exec(text) ?? [];
  const host = bracketed ?? plain ?? colons;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host !== undefined && port > 0 && port <= 65_535) return { host, port };
  throw invalid(`${JSON.stringify(text)} is no address: give host:port, such as localhost:${defaultPort}`);
}

export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const noLink = (): never => {
  throw new Error("this bus has no link");
};

export const NO_LINK: Link = { send: noLink, ping: noLink, receive: noLink, settle: noLink };

/** The TCP brokers on this machine's ports: this process's own, and those of other processes. */
export interface Brokers extends AsyncDisposable {
  /** `own`: this process serves there already. `found`: another process's broker does, and is used. */
  start(address: Address): Promise<"started" | "own" | "found">;
  /** False if this process serves nothing there. */
  stop(port: number): Promise<boolean>;
  owns(port: number): boolean;
  /** Asks another process's broker; undefined if nobody listens there. */
  ask(port: number, request: JsonObject, signal: AbortSignal): Promise<JsonObject | undefined>;
}

export const NO_BROKERS: Brokers = {
  start: noLink,
  stop: noLink,
  owns: () => false,
  ask: noLink,
  async [Symbol.asyncDispose]() {},
};
