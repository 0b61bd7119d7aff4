-- Messages of mailboxes that were handed out: until when nobody else gets them, and which have arrived. A row goes once
-- its reader's watermark is past it.
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
