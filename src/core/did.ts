const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const ED25519 = Buffer.from([0xed, 0x01]);

/** The did:key of an Ed25519 public key (W3C did:key; multicodec 0xed01, base58btc). */
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
