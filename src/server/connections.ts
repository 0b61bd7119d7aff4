import type { Bus } from "../core/bus.ts";
import { MAX_WAIT_SECONDS } from "../core/limits.ts";
import { waitUntilArrived } from "../core/mailboxes.ts";
import { countUnread } from "../core/messages.ts";
import { mailboxOf } from "../core/names.ts";
import { keepListening, startListening, stopListening } from "../core/sessions.ts";
import { name, parseInput } from "../operations/fields.ts";
import type { Context } from "../operations/operation.ts";
import { withAdmission } from "../operations/perform.ts";

/** The agents connected to a server, as sessions of the bus. */
export interface Connections {
  /** Opens a connection's session, and counts the agent's unread mail. */
  open(agent: string, context: Context): Promise<{ readonly id: string; readonly unread: number }>;
  /** Keeps the session alive. False if it is gone, as after a reset. */
  keep(id: string): Promise<boolean>;
  close(id: string): Promise<void>;
  /** Waits for a message to reach its recipient. False if it didn't in time. */
  waitUntilArrived(mailbox: string, id: number, signal: AbortSignal): Promise<boolean>;
}

const FIELDS = { agent: name("The agent that connects") };

export function createConnections(bus: Bus): Connections {
  return {
    async open(given, { caller }) {
      const input = parseInput(FIELDS, { agent: given });
      return await withAdmission(bus, { name: "arrive", level: "reader", subject: input, input }, caller, async () => {
        const { agent } = input;
        const { id } = await startListening(bus, agent, caller);
        return { id, unread: await countUnread(bus, { channel: mailboxOf(agent), agent }, caller) };
      });
    },
    keep: (id) => keepListening(bus, id),
    close: (id) => stopListening(bus, id),
    waitUntilArrived: (mailbox, id, signal) =>
      waitUntilArrived(bus, { mailbox, id, seconds: MAX_WAIT_SECONDS }, signal),
  };
}
