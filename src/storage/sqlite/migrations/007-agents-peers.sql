-- Whether an agent is connected is asked with each one that connects.
CREATE INDEX peers_by_agent ON peers (agent, connected_at, id);
