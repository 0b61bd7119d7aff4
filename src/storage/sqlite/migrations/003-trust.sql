-- What we add to a message, an agent or a request stands in tables of our own: the original replaces whole rows of its.

-- Signed requests happen once. Kept for an hour, which is longer than a request is taken for.
CREATE TABLE nonces (
  signer     TEXT NOT NULL,
  nonce      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  message_id INTEGER NOT NULL,
  seen_at    REAL NOT NULL,
  PRIMARY KEY (signer, nonce)
) WITHOUT ROWID;

CREATE INDEX nonces_by_age ON nonces (seen_at);

-- Messages whose sender showed a token instead of a signature.
CREATE TABLE attested (message_id INTEGER PRIMARY KEY);

CREATE TRIGGER attested_gone AFTER DELETE ON messages BEGIN
  DELETE FROM attested WHERE message_id = OLD.id;
END;

CREATE TABLE agent_rules (
  name    TEXT PRIMARY KEY,
  v2_only INTEGER NOT NULL
) WITHOUT ROWID;

-- Agents whose key was revoked. They leave the table of agents, so that the original refuses them too.
CREATE TABLE revoked_agents (
  name          TEXT PRIMARY KEY,
  public_key    TEXT NOT NULL,
  registered_by TEXT,
  revoked_at    REAL NOT NULL
) WITHOUT ROWID;
