import { listAgents, makeKeys, makeToken, registerAgent, revokeAgent, seedOperator, showCard } from "./agents.ts";
import { channelMessages, listChannels, sendToChannel } from "./channels.ts";
import {
  ackCommand,
  ask,
  commandResult,
  failCommand,
  listCommands,
  pendingCommands,
  retryCommand,
  sendCommand,
  waitCommand,
} from "./commands.ts";
import { ipcTool } from "./ipc.ts";
import { arrivedMessages, fetchMail, listMailboxes, postMail, showInbox, waitMail } from "./mailboxes.ts";
import { acknowledgeMessages, followChannel, readMessages, sendMessage, showReceipts } from "./messages.ts";
import type { Operation } from "./operation.ts";
import {
  changeRole,
  connectSession,
  discoverSessions,
  leaveBus,
  listSessions,
  sendHeartbeat,
  showPresence,
  showSession,
} from "./sessions.ts";
import { awaitSignal, emitSignal, listSignals, readSignal, unsetSignal } from "./signals.ts";
import { pingTcp, receiveTcp, sendTcp } from "./tcp.ts";
import { pruneMessages, resetBus } from "./upkeep.ts";
import { showHealth, showRights, showStatus, showTraffic, watchEvents } from "./watching.ts";

const table = [
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
  showRights,
  postMail,
  fetchMail,
  waitMail,
  showInbox,
  arrivedMessages,
  listMailboxes,
  listSessions,
  discoverSessions,
  connectSession,
  showSession,
  sendHeartbeat,
  changeRole,
  leaveBus,
  showPresence,
  sendCommand,
  ask,
  waitCommand,
  ackCommand,
  failCommand,
  commandResult,
  listCommands,
  pendingCommands,
  retryCommand,
  emitSignal,
  awaitSignal,
  readSignal,
  listSignals,
  unsetSignal,
  sendToChannel,
  channelMessages,
  showStatus,
  showTraffic,
  watchEvents,
  sendTcp,
  receiveTcp,
  pingTcp,
  pruneMessages,
  resetBus,
] as const satisfies readonly Operation[];

/** The table: everything that one can ask of the bus. */
export const operations: readonly Operation[] = table;

/** The operations that are MCP tools, and `ipc`, which only a model can call. */
export function listToolOperations(): readonly Operation[] {
  return [...operations.filter(({ tool }) => tool !== undefined), ipcTool];
}

/** An operation of the table with its own types. */
export type TypedOperation = (typeof table)[number];
