-- Publications that retention takes away: 'pruning' while their files move, 'pruned' once they are in the trash or gone.
-- A CHECK cannot be altered, so the table is made anew (https://www.sqlite.org/lang_altertable.html#otheralter). Dropping it
-- would take the parts along, which refer to it; they are set aside, and so nothing refers to the old table when it is renamed.
CREATE TABLE part_kept AS SELECT transfer_id, item, size, etag, total FROM part;
DROP TABLE part;

ALTER TABLE transfer RENAME TO transfer_old;
CREATE TABLE transfer (
    id              INTEGER PRIMARY KEY,
    project_id      INTEGER NOT NULL,
    job_id          INTEGER NOT NULL,
    dest            TEXT NOT NULL,
    -- Two destinations that differ only in case are one on some filesystems.
    dest_folded     TEXT NOT NULL UNIQUE,
    -- The transfer as JSON; the columns below repeat what is searched by.
    transfer        TEXT NOT NULL,
    deadline        INTEGER,
    priority        INTEGER NOT NULL,
    backfill        INTEGER NOT NULL CHECK (backfill IN (0, 1)),
    state           TEXT NOT NULL CHECK (
        state IN ('wanted', 'downloading', 'staged', 'published', 'failed', 'pruning', 'pruned')
    ),
    -- Was published and is not there now.
    lost            INTEGER NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)),
    -- Took up items while it was in flight: wanted again at the end of that attempt.
    gained          INTEGER NOT NULL DEFAULT 0 CHECK (gained IN (0, 1)),
    -- Attempts that failed.
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    outcome         TEXT,
    error           TEXT NOT NULL DEFAULT '',
    -- Rank of its last failure among all failures; none once published.
    failure         INTEGER,
    -- Step P5: what lies in staging.
    staged_files    TEXT NOT NULL DEFAULT '[]',
    -- Step P7: what stands at the destination.
    published_files TEXT NOT NULL DEFAULT '[]',
    published_at    INTEGER,
    size            INTEGER NOT NULL DEFAULT 0,
    manifest_sha256 TEXT,
    -- When a transfer's turn has come at the latest: its deadline, or a patience after it was found.
    due             INTEGER NOT NULL DEFAULT 0,
    -- When and why retention took it.
    pruned_at       INTEGER,
    pruned_why      TEXT NOT NULL DEFAULT '',
    -- Its name in the trash; none once that was emptied of it.
    trash           TEXT UNIQUE,
    -- Of 'pruning': whether the files are on their way back.
    restoring       INTEGER NOT NULL DEFAULT 0 CHECK (restoring IN (0, 1)),
    UNIQUE (project_id, job_id, dest)
) STRICT;

INSERT INTO transfer (
    id, project_id, job_id, dest, dest_folded, transfer, deadline, priority, backfill, state, lost, gained, attempts,
    next_attempt_at, outcome, error, failure, staged_files, published_files, published_at, size, manifest_sha256, due
)
SELECT
    id, project_id, job_id, dest, dest_folded, transfer, deadline, priority, backfill, state, lost, gained, attempts,
    next_attempt_at, outcome, error, failure, staged_files, published_files, published_at, size, manifest_sha256, due
FROM transfer_old;

DROP TABLE transfer_old;

-- The order of claims. Their terms stand word for word in queries/queue.sql, or they would not be used.
CREATE INDEX transfer_urgent ON transfer (due, priority DESC, backfill, job_id DESC, next_attempt_at)
    WHERE state = 'wanted';
CREATE INDEX transfer_turn ON transfer (backfill, priority DESC, project_id, due, job_id DESC, next_attempt_at)
    WHERE state = 'wanted';
CREATE INDEX transfer_retry ON transfer (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX transfer_open ON transfer (deadline, id) WHERE state IN ('wanted', 'downloading', 'staged');
CREATE INDEX transfer_state ON transfer (state);
CREATE INDEX transfer_figures ON transfer (state, lost, size);
CREATE INDEX transfer_failure ON transfer (failure) WHERE failure IS NOT NULL;
CREATE INDEX transfer_trash ON transfer (pruned_at, id, size) WHERE trash IS NOT NULL;

CREATE TABLE part (
    transfer_id     INTEGER NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    item            TEXT NOT NULL,
    size            INTEGER NOT NULL,
    etag            TEXT NOT NULL,
    total           INTEGER NOT NULL,
    PRIMARY KEY (transfer_id, item)
) STRICT, WITHOUT ROWID;

INSERT INTO part (transfer_id, item, size, etag, total)
SELECT transfer_id, item, size, etag, total FROM part_kept;
DROP TABLE part_kept;

-- Jobs whose publications stay, whatever retention says.
CREATE TABLE pin (
    project_id      INTEGER NOT NULL,
    project_path    TEXT NOT NULL,
    job_id          INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    reason          TEXT NOT NULL,
    PRIMARY KEY (project_id, job_id)
) STRICT, WITHOUT ROWID;

-- What the last look of retention found: one row.
CREATE TABLE retention_look (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    at              INTEGER NOT NULL,
    publications    INTEGER NOT NULL,
    orphans         INTEGER NOT NULL,
    orphan_bytes    INTEGER NOT NULL,
    removable       INTEGER NOT NULL,
    removable_bytes INTEGER NOT NULL
) STRICT;

-- What a command asks of the process that works on the store, and its answer.
CREATE TABLE prune_order (
    id              INTEGER PRIMARY KEY,
    at              INTEGER NOT NULL,
    wanted          TEXT NOT NULL,
    answer          TEXT
) STRICT;
