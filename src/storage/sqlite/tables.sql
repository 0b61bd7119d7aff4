-- The tables, version by version. PRAGMA user_version holds a file's version; a change of the tables is a new version at the
-- end. A version that was released never changes.

-- Version 1: the tables of the Python original

-- The Python original's own tables: both programs may use one file at the same time.
CREATE TABLE IF NOT EXISTS messages (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  channel    TEXT NOT NULL,
  sender     TEXT NOT NULL,
  content    TEXT NOT NULL,
  created_at REAL NOT NULL,
  read_by    TEXT DEFAULT '',
  signature  TEXT DEFAULT ''
);

CREATE TABLE IF NOT EXISTS watermarks (
  agent   TEXT NOT NULL,
  channel TEXT NOT NULL,
  last_id INTEGER DEFAULT 0,
  PRIMARY KEY (agent, channel)
);

CREATE TABLE IF NOT EXISTS agents (
  name          TEXT PRIMARY KEY,
  identity      TEXT NOT NULL DEFAULT '',
  public_key    TEXT NOT NULL,
  role          TEXT NOT NULL DEFAULT 'agent',
  registered_by TEXT,
  created_at    REAL NOT NULL
);

-- Version 2: channels

-- A read costs as much as there is unread, and a list as much as there are channels.
CREATE INDEX messages_by_channel ON messages (channel, id);

-- Triggers keep the counts, so that the original's writes count too.
CREATE TABLE channel_counts (
  channel      TEXT PRIMARY KEY,
  count        INTEGER NOT NULL,
  last_message REAL NOT NULL
) WITHOUT ROWID;

INSERT INTO channel_counts (channel, count, last_message)
  SELECT channel, count(*), max(created_at) FROM messages GROUP BY channel;

CREATE TRIGGER messages_counted AFTER INSERT ON messages BEGIN
  INSERT INTO channel_counts (channel, count, last_message) VALUES (NEW.channel, 1, NEW.created_at)
    ON CONFLICT (channel) DO UPDATE SET count = count + 1, last_message = max(last_message, NEW.created_at);
END;

CREATE TRIGGER messages_uncounted AFTER DELETE ON messages BEGIN
  UPDATE channel_counts SET count = count - 1 WHERE channel = OLD.channel;
  DELETE FROM channel_counts WHERE channel = OLD.channel AND count <= 0;
END;

-- The original replaces whole rows of agents. Without an operator's row secure mode would end.
CREATE TRIGGER operators_stay BEFORE INSERT ON agents
  WHEN EXISTS (SELECT 1 FROM agents WHERE name = NEW.name AND role = 'operator')
BEGIN
  SELECT RAISE(ABORT, 'an operator cannot be replaced');
END;

-- Version 3: trust

-- Our additions to messages and agents are tables of their own: the original replaces whole rows of its tables.

-- Each signed request happens once. Rows are kept for an hour, longer than a request is accepted.
CREATE TABLE nonces (
  signer     TEXT NOT NULL,
  nonce      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  message_id INTEGER NOT NULL,
  seen_at    REAL NOT NULL,
  PRIMARY KEY (signer, nonce)
) WITHOUT ROWID;

CREATE INDEX nonces_by_age ON nonces (seen_at);

-- Messages whose sender had a token instead of a signature.
CREATE TABLE attested (message_id INTEGER PRIMARY KEY);

CREATE TRIGGER attested_gone AFTER DELETE ON messages BEGIN
  DELETE FROM attested WHERE message_id = OLD.id;
END;

CREATE TABLE agent_rules (
  name    TEXT PRIMARY KEY,
  v2_only INTEGER NOT NULL
) WITHOUT ROWID;

-- Agents whose key was revoked. They leave the table agents, so that the original refuses them too.
CREATE TABLE revoked_agents (
  name          TEXT PRIMARY KEY,
  public_key    TEXT NOT NULL,
  registered_by TEXT,
  revoked_at    REAL NOT NULL
) WITHOUT ROWID;

-- Version 4: readers

-- For receipts, and for the messages that every reader of a channel has consumed.
CREATE INDEX watermarks_by_channel ON watermarks (channel, last_id);

-- Version 5: sessions, commands and signals

CREATE TABLE peers (
  id           TEXT PRIMARY KEY,
  role         TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  agent        TEXT,
  connected_at REAL NOT NULL,
  last_seen    REAL NOT NULL,
  waiting_for  TEXT
);

CREATE TABLE orders (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT NOT NULL UNIQUE,
  kind          TEXT NOT NULL,
  sender        TEXT NOT NULL,
  sender_id     TEXT,
  target        TEXT,
  target_role   TEXT NOT NULL,
  action        TEXT NOT NULL,
  params        TEXT NOT NULL,
  created_at    REAL NOT NULL,
  lease_seconds REAL NOT NULL,
  expires_at    REAL,
  status        TEXT NOT NULL DEFAULT 'pending',
  attempts      INTEGER NOT NULL DEFAULT 0,
  holder        TEXT,
  lease_until   REAL,
  result        TEXT NOT NULL DEFAULT 'null',
  ended_at      REAL
);

-- Open commands only: the cost of finding one doesn't depend on how many have ended.
CREATE INDEX orders_open_by_target ON orders (target, seq) WHERE status IN ('pending', 'leased');
CREATE INDEX orders_open_by_role ON orders (target_role, seq) WHERE status IN ('pending', 'leased') AND target IS NULL;

-- For commands that may not be taken any more, because of their time or their attempts.
CREATE INDEX orders_open_by_expiry ON orders (expires_at) WHERE status IN ('pending', 'leased') AND expires_at IS NOT NULL;
CREATE INDEX orders_open_by_attempts ON orders (attempts) WHERE status IN ('pending', 'leased');

-- For lists by session and by status, and for commands that ended long ago.
CREATE INDEX orders_by_target ON orders (target, status);
CREATE INDEX orders_by_holder ON orders (holder, status);
CREATE INDEX orders_by_status ON orders (status);
CREATE INDEX orders_by_end ON orders (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE signals (
  name   TEXT PRIMARY KEY,
  data   TEXT NOT NULL,
  sender TEXT NOT NULL,
  set_at REAL NOT NULL
);

-- Changes, for those who follow the bus live. Messages need no entries: their ids order them.
CREATE TABLE journal (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  at   REAL NOT NULL,
  kind TEXT NOT NULL,
  key  TEXT NOT NULL,
  what TEXT NOT NULL
);

CREATE TRIGGER journal_bounded AFTER INSERT ON journal WHEN NEW.seq % 100 = 0 BEGIN
  DELETE FROM journal WHERE seq <= NEW.seq - 10000;
END;

CREATE TRIGGER peer_connected AFTER INSERT ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'connected');
END;

CREATE TRIGGER peer_changed AFTER UPDATE OF role ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', NEW.id, 'changed_role');
END;

CREATE TRIGGER peer_waits AFTER UPDATE OF waiting_for ON peers WHEN OLD.waiting_for IS NOT NEW.waiting_for BEGIN
  INSERT INTO journal (at, kind, key, what)
    VALUES (unixepoch('subsec'), 'peer', NEW.id, CASE WHEN NEW.waiting_for IS NULL THEN 'works' ELSE 'waits' END);
END;

CREATE TRIGGER peer_left AFTER DELETE ON peers BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'peer', OLD.id, 'left');
END;

CREATE TRIGGER order_sent AFTER INSERT ON orders BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER order_changed AFTER UPDATE OF status ON orders WHEN OLD.status <> NEW.status OR OLD.attempts <> NEW.attempts BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'order', NEW.id, NEW.status);
END;

CREATE TRIGGER signal_set AFTER INSERT ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_set_again AFTER UPDATE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', NEW.name, 'set');
END;

CREATE TRIGGER signal_cleared AFTER DELETE ON signals BEGIN
  INSERT INTO journal (at, kind, key, what) VALUES (unixepoch('subsec'), 'signal', OLD.name, 'cleared');
END;

-- Version 6: mailboxes

-- Messages of mailboxes that are leased or have arrived. A row is removed once its reader's watermark is past it.
CREATE TABLE taken (
  message_id  INTEGER PRIMARY KEY,
  channel     TEXT NOT NULL,
  lease_until REAL NOT NULL,
  settled     INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX taken_by_channel ON taken (channel, message_id);

CREATE TRIGGER taken_gone AFTER DELETE ON messages BEGIN
  DELETE FROM taken WHERE message_id = OLD.id;
END;

-- Version 7: the sessions of an agent

-- Each connect asks for the sessions of its agent.
CREATE INDEX peers_by_agent ON peers (agent, connected_at, id);
