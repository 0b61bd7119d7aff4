/** A message passed straight to who listens at an address, with nothing in between that keeps it. */
export interface Link {
  /** Hands over a text; answers once the other end has said that it took it. */
  send(address: Address, text: string, milliseconds: number): Promise<void>;
  /** How long the other end took to answer, in milliseconds. */
  ping(address: Address, milliseconds: number): Promise<number>;
  /** Waits at an address for one text, answering pings meanwhile; undefined when the time is up. */
  receive(address: Address, milliseconds: number, signal: AbortSignal): Promise<string | undefined>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}
