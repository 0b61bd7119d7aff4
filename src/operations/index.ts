import { agentOperations } from "./agents.ts";
import { channelOperations, listChannels } from "./channels.ts";
import { commandOperations } from "./commands.ts";
import { ipcTool } from "./ipc.ts";
import { mailboxOperations } from "./mailboxes.ts";
import { messageOperations } from "./messages.ts";
import type { Operation } from "./operation.ts";
import { sessionOperations } from "./sessions.ts";
import { signalOperations } from "./signals.ts";
import { tcpOperations } from "./tcp.ts";
import { upkeepOperations } from "./upkeep.ts";
import { showHealth, showRights, watchOperations } from "./watching.ts";

/** Help, documents and tools keep this order. */
const table = [
  ...messageOperations,
  listChannels,
  ...agentOperations,
  showHealth,
  showRights,
  ...mailboxOperations,
  ...sessionOperations,
  ...commandOperations,
  ...signalOperations,
  ...channelOperations,
  ...watchOperations,
  ...tcpOperations,
  ...upkeepOperations,
] as const satisfies readonly Operation[];

/** Everything that the bus can be asked. */
export const operations: readonly Operation[] = table;

/** The MCP tools, including `ipc`, which only a model can call. */
export function listToolOperations(): readonly Operation[] {
  return [...operations.filter(({ tool }) => tool !== undefined), ipcTool];
}

/** An operation of the table with its own types. */
export type TypedOperation = (typeof table)[number];
