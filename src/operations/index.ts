import { listAgents, makeKeys, registerAgent, revokeAgent, seedOperator, showCard } from "./agents.ts";
import { listChannels } from "./channels.ts";
import { showHealth } from "./health.ts";
import { acknowledgeMessages, followChannel, readMessages, sendMessage } from "./messages.ts";
import type { Operation } from "./operation.ts";
import { pruneMessages } from "./prune.ts";
import { showReceipts } from "./receipts.ts";
import { resetBus } from "./reset.ts";
import { makeToken } from "./tokens.ts";

/** THE table: everything that one can ask of the bus. */
export const operations: readonly Operation[] = [
  sendMessage,
  readMessages,
  acknowledgeMessages,
  followChannel,
  showReceipts,
  listChannels,
  seedOperator,
  makeKeys,
  registerAgent,
  revokeAgent,
  listAgents,
  makeToken,
  showCard,
  showHealth,
  pruneMessages,
  resetBus,
];
