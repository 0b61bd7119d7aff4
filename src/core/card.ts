import type { Bus } from "./bus.ts";
import { didKey } from "./did.ts";
import { rawBytes, registeredKey } from "./keys.ts";

/** What strangers may know of this bus: an A2A agent card, with the did:key of its first operator once there is one. */
export async function agentCard(bus: Bus) {
  const did = await busDid(bus);
  return {
    ...bus.card,
    version: "1.0.0",
    capabilities: { streaming: false, pushNotifications: false },
    authentication: { schemes: ["Ed25519Signature"] },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [
      {
        id: "ipc",
        name: "Inter-Agent Messaging",
        description: "Send and receive signed messages via el-ipc",
        tags: ["ipc", "messaging", "ed25519"],
      },
    ],
    ...(did === undefined ? {} : { did }),
  };
}

/** Who this bus is, to those who sign for it: the first operator's key as a DID. Undefined in open mode. */
export async function busDid(bus: Bus): Promise<string | undefined> {
  const operator = await bus.store.agents.firstOperator();
  const key = operator && registeredKey(operator.publicKey);
  return key && didKey(rawBytes(key));
}
