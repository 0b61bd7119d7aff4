import { readFileSync } from "node:fs";
import { readPrivateKey } from "../../../src/core/keys.ts";
import { createStamp, messageBytes, messageBytesV1, sign } from "../../../src/core/signature.ts";

/** The signer of messages, and the bus that it signs for. */
export interface Signing {
  readonly version: 1 | 2;
  readonly keyFile: string;
  readonly sender: string;
  /** The DID of the bus, for version 2. */
  readonly audience: string;
}

export interface Requests {
  readonly all: readonly Buffer[];
  /** They may be sent again when all were sent. */
  readonly again: boolean;
}

const CONTENT = "main is green ".repeat(6);

/** The bytes of requests to send a message, made before anybody looks at the clock. */
export function sendRequests(port: number, most: number, signing: Signing | undefined): Requests {
  const message = { channel: "bench", sender: signing?.sender ?? "herald", content: CONTENT };
  const asRequest = (fields: object): Buffer => {
    const body = JSON.stringify({ ...message, ...fields });
    const head = `POST /send HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
    return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
  if (signing === undefined) return { all: [asRequest({})], again: true };
  const key = readPrivateKey(readFileSync(signing.keyFile));
  if (signing.version === 1) {
    const all = Array.from({ length: 1_000 }, (_, index) => {
      const content = `${CONTENT}${index}`;
      return asRequest({ content, signature: sign(messageBytesV1({ ...message, content }), key) });
    });
    return { all, again: true };
  }
  const all = Array.from({ length: most }, () => {
    const stamp = createStamp(signing.audience, Date.now());
    return asRequest({ v: 2, ...stamp, signature: sign(messageBytes(message, stamp), key) });
  });
  return { all, again: false };
}
