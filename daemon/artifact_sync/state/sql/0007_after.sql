-- What is to run after a publication: written with the step that publishes, so that a crash in between forgets none of it.
CREATE TABLE hook (
    -- Higher for later publications.
    id              INTEGER PRIMARY KEY,
    transfer_id     INTEGER NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    rule            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    -- Which publication of the transfer it is due for, and since when.
    manifest_sha256 TEXT NOT NULL,
    published_at    INTEGER NOT NULL,
    state           TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed', 'skipped')),
    -- Attempts that failed.
    attempts        INTEGER NOT NULL DEFAULT 0,
    due_at          INTEGER NOT NULL,
    ended_at        INTEGER,
    detail          TEXT NOT NULL DEFAULT '',
    hint            TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX hook_in_order ON hook (rule, kind, id) WHERE state = 'waiting';
CREATE INDEX hook_by_time ON hook (kind, due_at, id) WHERE state = 'waiting';
CREATE INDEX hook_transfer ON hook (transfer_id);
CREATE INDEX hook_state ON hook (state, id);
