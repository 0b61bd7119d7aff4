/** The machine's clock that never goes back, in milliseconds; the same for all of its processes. */
export function moment(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The things a process did to the bus or heard from it, in order. Each process has a log of its own. */
export type Doing =
  /** A send is on its way; of one that is sent again, once more. */
  | { readonly kind: "invoked"; readonly key: string; readonly channel: string }
  | { readonly kind: "acknowledged"; readonly key: string; readonly id: number }
  /** The answer was that it isn't stored. Where there was no answer there is no event. */
  | { readonly kind: "refused"; readonly key: string }
  /** A read, a fetch or a stream begins; what is printed until the next is of it. */
  | { readonly kind: "asked"; readonly agent: string; readonly channel: string }
  | {
      readonly kind: "printed";
      readonly agent: string;
      readonly channel: string;
      readonly id: number;
      readonly key: string;
    }
  /** The bus has said that the agent has this: of a channel all up to it, of a mailbox it alone. */
  | { readonly kind: "settled"; readonly agent: string; readonly channel: string; readonly id: number }
  /** This reader does nothing more. */
  | { readonly kind: "ended"; readonly agent: string; readonly channel: string }
  | { readonly kind: "pruned"; readonly channel: string }
  | { readonly kind: "resetting" }
  /** It is over; `done` where the bus said so. */
  | { readonly kind: "reset"; readonly done: boolean }
  | { readonly kind: "ordered"; readonly order: string; readonly lease: number }
  | { readonly kind: "waited"; readonly role: string }
  | { readonly kind: "offered"; readonly order: string }
  | { readonly kind: "done"; readonly order: string; readonly result: string }
  | { readonly kind: "setting"; readonly signal: string; readonly value: number }
  | { readonly kind: "set"; readonly signal: string; readonly value: number }
  | { readonly kind: "looking"; readonly signal: string }
  /** 0 where it wasn't set. */
  | { readonly kind: "seen"; readonly signal: string; readonly value: number }
  | { readonly kind: "registered"; readonly name: string; readonly publicKey: string }
  /** The leases that were running were ended, as if their time had gone by. */
  | { readonly kind: "passed" }
  /** A sentence for the user. */
  | { readonly kind: "said"; readonly text: string };

/** One life of one process did it, then. */
export type Event = Doing & { readonly at: number; readonly who: string };

export interface LeftOrder {
  readonly order: string;
  readonly status: string;
  readonly attempts: number;
  readonly result: string;
}

/** The contents of the store at the end. */
export interface Left {
  readonly messages: readonly { readonly id: number; readonly channel: string; readonly key: string }[];
  readonly watermarks: readonly { readonly agent: string; readonly channel: string; readonly id: number }[];
  readonly agents: readonly { readonly name: string; readonly publicKey: string }[];
  readonly orders: readonly LeftOrder[];
  /** Further damage found in the file. */
  readonly faults: readonly string[];
}

/** A whole run. Its readers have read to the end, and its workers have done what was ordered. */
export interface History {
  readonly events: readonly Event[];
  readonly left: Left;
}

type Of<K extends Doing["kind"]> = Extract<Event, { kind: K }>;

/** The events of some kinds, in order of time. */
export function ofKind<K extends Doing["kind"]>(events: readonly Event[], ...kinds: readonly K[]): Of<K>[] {
  const wanted: ReadonlySet<string> = new Set(kinds);
  const isWanted = (event: Event): event is Of<K> => wanted.has(event.kind);
  return events.filter(isWanted).toSorted((one, other) => one.at - other.at);
}

export function isMailbox(channel: string): boolean {
  return channel.startsWith("@");
}
