/** Who asks, from where, and with what proof. */
export interface Caller {
  /** `process`: it opened the store itself. `local` and `beyond`: over a network, from this machine or from further. */
  readonly from: "process" | "local" | "beyond";
  /** `api-key`: it showed the server's key. `waived`: the server was told to let everyone in. */
  readonly proof: "none" | "api-key" | "waived";
}

export const THIS_PROCESS: Caller = { from: "process", proof: "none" };
