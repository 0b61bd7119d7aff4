import type { Changes } from "./changes.ts";

export const VIEWS = ["channels", "peers", "commands", "signals", "activity", "pictures"] as const;

export type View = (typeof VIEWS)[number];

/** The open view and channel, kept in the page's address, so that links and the back button work. */
export interface Place {
  /** The panel that a narrow window shows. A wide window shows all of them. */
  readonly view: View;
  readonly channel: string | undefined;
  go(view: View, channel?: string): void;
}

export function createPlace(changes: Changes): Place {
  const place: Place = {
    ...placeOf(location.hash),
    go(view, channel) {
      location.hash = addressOf(view, channel);
    },
  };
  addEventListener("hashchange", () => {
    Object.assign(place, placeOf(location.hash));
    changes.touch("place");
  });
  return place;
}

export function addressOf(view: View, channel?: string): string {
  return channel === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(channel)}`;
}

function placeOf(hash: string): { view: View; channel: string | undefined } {
  const [, name = "", channel] = hash.split("/");
  const view = VIEWS.find((known) => known === name) ?? "channels";
  return { view, channel: channel === undefined ? undefined : decode(channel) };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
