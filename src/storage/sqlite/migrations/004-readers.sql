-- Who reads a channel, and how far: receipts, and what everybody has consumed.
CREATE INDEX watermarks_by_channel ON watermarks (channel, last_id);
