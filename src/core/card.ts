import type { Bus } from "./bus.ts";
import { rawKeyBytes, registeredKey } from "./keys.ts";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const ED25519 = Buffer.from([0xed, 0x01]);

/** Formats an Ed25519 public key as W3C did:key: multicodec 0xed01, base58btc. */
export function didKey(rawPublicKey: Uint8Array): string {
  return `did:key:z${base58(Buffer.concat([ED25519, rawPublicKey]))}`;
}

function base58(bytes: Buffer): string {
  let text = "";
  for (let rest = BigInt(`0x${bytes.toString("hex")}`); rest > 0n; rest /= 58n)
    text = ALPHABET[Number(rest % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros === -1 ? bytes.length : zeros) + text;
}

/** The A2A agent card; in secure mode with the bus's DID. */
export async function createAgentCard(bus: Bus) {
  const did = await getBusDid(bus);
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

/** Identifies this bus in signed requests: the first operator's key as a DID. Undefined in open mode. */
export async function getBusDid(bus: Bus): Promise<string | undefined> {
  const operator = await bus.store.agents.firstOperator();
  return operator && didOf(operator.publicKey);
}

/** Cached: every v2 message needs it, and it hardly ever changes. */
let last: { readonly pem: string; readonly did: string | undefined } | undefined;

function didOf(pem: string): string | undefined {
  if (last?.pem !== pem) {
    const key = registeredKey(pem);
    last = { pem, did: key && didKey(rawKeyBytes(key)) };
  }
  return last.did;
}
