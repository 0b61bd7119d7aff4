import { nuid } from "@nats-io/transport-node";
import { canonical } from "../../core/json.ts";
import { nodeCrypto } from "../../core/keys.ts";
import type { Json } from "../../core/store.ts";
import { jsonOf } from "./fields.ts";
import type { Streams } from "./streams.ts";

/** A value that somebody gave us: a small one as it is, a larger one by the name under which it lies. */
export type Body =
  | { readonly json: Json; readonly bytes: number }
  | { readonly name: string; readonly digest: string; readonly bytes: number };

export const NOTHING: Body = { json: null, bytes: 4 };

/** Larger ones would make what is read and written with every step larger. */
const SMALL_BYTES = 512;

export interface Bodies {
  /** Stores what is large. It is there before anything names it. */
  keep(value: Json): Promise<Body>;
  /** Undefined where it is gone, with what named it. */
  read(body: Body): Promise<{ readonly value: Json } | undefined>;
  drop(names: readonly string[]): Promise<void>;
}

export function createBodies(streams: Streams): Bodies {
  return {
    async keep(value) {
      const text = JSON.stringify(value ?? null);
      const bytes = Buffer.byteLength(text);
      if (bytes <= SMALL_BYTES) return { json: value ?? null, bytes };
      const name = nuid.next();
      await streams.publish("bodies", streams.names.body(name), { id: name, data: text });
      return { name, digest: digestOf(value), bytes };
    },

    async read(body) {
      if ("json" in body) return { value: body.json };
      const found = await streams.last("bodies", streams.names.body(body.name));
      return found && { value: jsonOf(found.data) };
    },

    async drop(names) {
      await Promise.all(names.map((name) => streams.purge("bodies", streams.names.body(name))));
    },
  };
}

/** Whether a body holds this value, in whatever order the names in it come. */
export function holds(body: Body, value: Json): boolean {
  return "json" in body ? canonical(body.json) === canonical(value) : body.digest === digestOf(value);
}

export function namesIn(...bodies: readonly Body[]): readonly string[] {
  return bodies.flatMap((body) => ("name" in body ? [body.name] : []));
}

function digestOf(value: Json): string {
  return nodeCrypto().createHash("sha256").update(canonical(value)).digest("base64url");
}
