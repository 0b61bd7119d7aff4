import assert from "node:assert/strict";
import { test } from "node:test";
import { didKey } from "../../src/core/card.ts";
import { publicKeyOf, rawKeyBytes, readPrivateKey } from "../../src/core/keys.ts";

test("E38 RFC 8032's first key has the known DID", () => {
  const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
  assert.equal(
    didKey(rawKeyBytes(publicKeyOf(readPrivateKey(seed)))),
    "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
  );
});

test("E38 the examples in the did:key specification have their DIDs", () => {
  for (const [hex, did] of [
    [
      "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6",
      "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    ],
  ] as const) {
    assert.equal(didKey(Buffer.from(hex, "hex")), did);
  }
});

test("E38 the DIDs of Ed25519 keys begin alike, and no two are the same", () => {
  const dids = Array.from({ length: 256 }, (_, byte) => didKey(Buffer.alloc(32, byte)));
  for (const did of dids) assert.match(did, /^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/);
  assert.equal(new Set(dids).size, 256);
});
