import { invalid } from "./errors.ts";

/** A message passed straight to who listens at an address, with nothing in between that keeps it. */
export interface Link {
  /** Hands over a text; answers once the other end has said that it took it. Where nobody listens yet, it waits for that. */
  send(address: Address, text: string, within: Deadline): Promise<void>;
  /** How long the other end took to answer, in milliseconds. */
  ping(address: Address, within: Deadline): Promise<number>;
  /** Waits at an address for one text, answering pings meanwhile; undefined when the time is up. */
  receive(address: Address, within: Deadline): Promise<ReceivedText | undefined>;
  /** Tells whoever sent this text whether it arrived; until then they wait for it. */
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
  /** The address that it came from. */
  readonly from: string;
  readonly receipt: number;
}

const ADDRESS = /^(?:\[([\da-f:.%\w]+)\]|([^\s:/[\]]+)|([\da-f]*:[\da-f:]*:[\da-f:.]*))(?::(\d{1,5}))?$/i;

/** The address that `host`, `host:port` or `[::1]:port` names. */
export function parseAddress(text: string, usualPort: number): Address {
  const [, bracketed, plain, colons, digits] = ADDRESS.exec(text) ?? [];
  const host = bracketed ?? plain ?? colons;
  const port = digits === undefined ? usualPort : Number(digits);
  if (host !== undefined && port > 0 && port <= 65_535) return { host, port };
  throw invalid(`${JSON.stringify(text)} is no address: give host:port, as localhost:${usualPort}`);
}

/** An address as people write it. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const noLink = (): never => {
  throw new Error("there is no link here");
};

/** For a bus that passes nothing on by itself. */
export const NO_LINK: Link = { send: noLink, ping: noLink, receive: noLink, settle: noLink };

/** Brokers on ports of this machine: those that this process opens for its bus, and those that are there already. */
export interface Brokers extends AsyncDisposable {
  /** `own`: this process serves there already. `found`: somebody else's broker does, and is used. */
  start(address: Address): Promise<"started" | "own" | "found">;
  /** False where this process serves nothing there. */
  stop(port: number): Promise<boolean>;
  owns(port: number): boolean;
  /** Asks a broker of another process; undefined where nobody listens. */
  ask(port: number, request: BrokerRequest, signal: AbortSignal): Promise<BrokerAnswer | undefined>;
}

export type BrokerRequest = Readonly<Record<string, unknown>>;
export type BrokerAnswer = Readonly<Record<string, unknown>>;

export const NO_BROKERS: Brokers = {
  start: noLink,
  stop: noLink,
  owns: () => false,
  ask: noLink,
  async [Symbol.asyncDispose]() {},
};
