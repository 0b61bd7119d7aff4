import { listAgents, makeKeys, registerAgent, revokeAgent, seedOperator, showCard } from "./agents.ts";
import { listChannels } from "./channels.ts";
import { watchEvents } from "./events.ts";
import { showHealth } from "./health.ts";
import { ipcTool } from "./ipc.ts";
import { arrivedMessages, fetchMail, listMailboxes, postMail, showInbox, waitMail } from "./mailboxes.ts";
import { acknowledgeMessages, followChannel, readMessages, sendMessage } from "./messages.ts";
import type { Operation } from "./operation.ts";
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
} from "./orders.ts";
import { beatHeart, changeRole, connectPeer, discoverPeers, leavePeer, listPeers, showPeer } from "./peers.ts";
import { showPresence } from "./presence.ts";
import { pruneMessages } from "./prune.ts";
import { showReceipts } from "./receipts.ts";
import { resetBus } from "./reset.ts";
import { showRights } from "./rights.ts";
import { awaitSignal, emitSignal, listSignals, readSignal, unsetSignal } from "./signals.ts";
import { showStatus } from "./status.ts";
import { channelMessages, sendToChannel } from "./streams.ts";
import { pingTcp, receiveTcp, sendTcp } from "./tcp.ts";
import { makeToken } from "./tokens.ts";
import { showTraffic } from "./traffic.ts";

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
  listPeers,
  discoverPeers,
  connectPeer,
  showPeer,
  beatHeart,
  changeRole,
  leavePeer,
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
  ipcTool,
  pruneMessages,
  resetBus,
] as const satisfies readonly Operation[];

/** THE table: everything that one can ask of the bus. */
export const operations: readonly Operation[] = table;

/** One of them, with its own types, for who names it. */
export type TypedOperation = (typeof table)[number];
