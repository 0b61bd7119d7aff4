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

-- Only what may still be handed out: looking for an order costs what is open, however many have ended.
CREATE INDEX orders_open_by_target ON orders (target, seq) WHERE status IN ('pending', 'leased');
CREATE INDEX orders_open_by_role ON orders (target_role, seq) WHERE status IN ('pending', 'leased') AND target IS NULL;

-- What nobody may take any more, by time or by how often it was handed out.
CREATE INDEX orders_open_by_expiry ON orders (expires_at) WHERE status IN ('pending', 'leased') AND expires_at IS NOT NULL;
CREATE INDEX orders_open_by_attempts ON orders (attempts) WHERE status IN ('pending', 'leased');

-- What a peer is and was ordered, what came to the same end, and what ended long ago.
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

-- What changed, for those who follow it live. Messages are a journal by themselves.
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
