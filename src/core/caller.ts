/** Who asks, from where, and with what proof. */
export interface Caller {
  /** `process`: it opened the store itself. `local` and `beyond`: over a network, from this machine or from further. */
  readonly from: "process" | "local" | "beyond";
  /** It showed the server's key, or the server was told to let everyone in. Says nothing about who it is. */
  readonly admitted: boolean;
  /** It showed the server's key. */
  readonly hasKey: boolean;
  /** It showed a token. */
  readonly identity: Identity | undefined;
}

/** Whom a token speaks for. */
export interface Identity {
  readonly agent: string;
  readonly operator: boolean;
  /** Seconds since 1970. */
  readonly expires: number;
}

export const THIS_PROCESS: Caller = { from: "process", admitted: false, hasKey: false, identity: undefined };
