import { invalid } from "../../core/errors.ts";
import { type Carrier, farDoor, type Item, type Request, type ServerAt } from "../../operations/far-door.ts";
import type { Door } from "../../operations/perform.ts";
import { decodeEvents } from "../../wire/sse.ts";
import { bodyOf, createExchange, type Exchange, failureOf, notOurs, parseAnswer, textOf } from "./exchange.ts";

/** The door to a bus behind a server: the same operations, asked over HTTP. */
export function httpDoor(server: ServerAt): Door {
  return farDoor(httpCarrier(createExchange(parseUrl(server.url), server)));
}

function httpCarrier({ ask, reached, isPassing }: Exchange): Carrier {
  return {
    reached,
    isPassing,
    async once(request) {
      const response = await ask(request);
      const answer = parseAnswer(await textOf(response));
      return response.statusCode === 408 ? null : answer;
    },
    async *stream(request: Request, begun: () => void): AsyncGenerator<Item, void, void> {
      const response = await ask(request);
      if (!response.headers["content-type"]?.startsWith("text/event-stream")) throw notOurs("a stream of events");
      begun();
      for await (const { id, event, data } of decodeEvents(bodyOf(response))) {
        if (event === "error") throw failureOf(parseAnswer(data), 500);
        yield { value: parseAnswer(data), since: id };
      }
    },
  };
}

function parseUrl(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol === "http:" || base?.protocol === "https:") return base;
  throw invalid(`${JSON.stringify(url)} is not the address of a server: http://host:port or https://host`);
}
