-- Webhooks that came, so that one that comes again is known. Each by a hash of its id.
CREATE TABLE delivery (
    id          BLOB PRIMARY KEY,
    received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_by_time ON delivery (received_at);
