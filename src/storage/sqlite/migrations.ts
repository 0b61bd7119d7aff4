import originalTables from "./migrations/001-original-tables.sql";
import channels from "./migrations/002-channels.sql";
import trust from "./migrations/003-trust.sql";
import readers from "./migrations/004-readers.sql";
import sessions from "./migrations/005-sessions.sql";
import mailboxes from "./migrations/006-mailboxes.sql";
import agentsPeers from "./migrations/007-agents-peers.sql";

/** In order; `PRAGMA user_version` says how many of them a file has had. */
export const migrations: readonly string[] = [
  originalTables,
  channels,
  trust,
  readers,
  sessions,
  mailboxes,
  agentsPeers,
];
