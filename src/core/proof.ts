import type { Bus } from "./bus.ts";
import type { StoredMessage } from "./store.ts";

/** What shows who wrote something: a signature that the bus has checked, or a token of the writer, for which it vouches. */
export type Proof = "verified" | "attested";

/** Tells what proves a message's sender. Nothing does in open mode, nor for what was sent before the bus had an operator. */
export async function proofs(bus: Bus): Promise<(message: StoredMessage) => Proof | undefined> {
  const operator = await bus.store.agents.firstOperator();
  return ({ signature, attested, timestamp }) => {
    if (operator === undefined || timestamp < operator.createdAt) return undefined;
    if (signature !== "") return "verified";
    return attested ? "attested" : undefined;
  };
}

/** The registered agent behind a session that did something, where its token shows that. */
export async function agentBehind(bus: Bus, peer: string | null): Promise<string | undefined> {
  const found = peer === null ? undefined : await bus.store.peers.find(peer);
  return found?.agent ?? undefined;
}
