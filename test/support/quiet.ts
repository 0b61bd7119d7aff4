import type { Policy } from "../../src/core/bus.ts";
import type { Changes } from "../../src/core/store.ts";

/** For bells that no clock helps: a store that says that nobody writes. */
export const nothingChanges = async (): Promise<Changes> => ({ channels: [], others: false });

/** What an owner decides who decides nothing. */
export const noPolicy: Policy = {
  card: { name: "", description: "", url: "" },
  signatures: "any",
  readsNeedToken: false,
  secured: () => {},
};
