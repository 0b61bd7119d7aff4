-- Reading costs what is unread, and listing costs what channels there are, however much is stored.
CREATE INDEX messages_by_channel ON messages (channel, id);

-- Kept by triggers, so that the original's own writes count too.
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

-- The original replaces whole rows of agents: an operator's must stay, or secure mode would end with it.
CREATE TRIGGER operators_stay BEFORE INSERT ON agents
  WHEN EXISTS (SELECT 1 FROM agents WHERE name = NEW.name AND role = 'operator')
BEGIN
  SELECT RAISE(ABORT, 'an operator cannot be replaced');
END;
