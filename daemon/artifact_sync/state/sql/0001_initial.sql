-- Times are microseconds since 1970-01-01 UTC.

-- How far discovery has come in a project.
CREATE TABLE project (
    id              INTEGER PRIMARY KEY,
    path            TEXT NOT NULL,
    newest_job_id   INTEGER NOT NULL,
    backfill_next   TEXT,
    backfill_done   INTEGER NOT NULL CHECK (backfill_done IN (0, 1)),
    horizon         INTEGER,
    rules           TEXT NOT NULL,
    polled_at       INTEGER
) STRICT;

-- Pipelines with jobs that may still come to be selected.
CREATE TABLE watched_pipeline (
    project_id      INTEGER NOT NULL,
    pipeline_id     INTEGER NOT NULL,
    look_at         INTEGER NOT NULL,
    looks           INTEGER NOT NULL,
    seen            TEXT NOT NULL,
    PRIMARY KEY (project_id, pipeline_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX watched_pipeline_look ON watched_pipeline (project_id, look_at);

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
    state           TEXT NOT NULL CHECK (state IN ('wanted', 'downloading', 'staged', 'published', 'failed')),
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
    UNIQUE (project_id, job_id, dest)
) STRICT;

-- The order of claims. Its terms stand word for word in queries/queue.sql, or it would not be used.
CREATE INDEX transfer_claim
    ON transfer (deadline IS NULL, deadline, priority DESC, backfill, job_id DESC, next_attempt_at)
    WHERE state = 'wanted';
CREATE INDEX transfer_retry ON transfer (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX transfer_open ON transfer (deadline, id) WHERE state NOT IN ('published', 'failed');
CREATE INDEX transfer_state ON transfer (state);
CREATE INDEX transfer_figures ON transfer (state, lost, size);
CREATE INDEX transfer_failure ON transfer (failure) WHERE failure IS NOT NULL;

-- Durable prefixes of parts.
CREATE TABLE part (
    transfer_id     INTEGER NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    item            TEXT NOT NULL,
    size            INTEGER NOT NULL,
    etag            TEXT NOT NULL,
    total           INTEGER NOT NULL,
    PRIMARY KEY (transfer_id, item)
) STRICT, WITHOUT ROWID;

-- Keeps to be called. A settled one stays, so that the same page seen again does not bring it back.
CREATE TABLE keep_due (
    project_id      INTEGER NOT NULL,
    job_id          INTEGER NOT NULL,
    rule            TEXT NOT NULL,
    project_path    TEXT NOT NULL,
    job_name        TEXT NOT NULL,
    due_at          INTEGER NOT NULL,
    expire_at       INTEGER NOT NULL,
    always          INTEGER NOT NULL CHECK (always IN (0, 1)),
    attempts        INTEGER NOT NULL,
    settled         INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),
    PRIMARY KEY (project_id, job_id, rule)
) STRICT, WITHOUT ROWID;

CREATE INDEX keep_due_due ON keep_due (due_at) WHERE settled = 0;

-- The ledger: only ever added to.
CREATE TABLE keep_entry (
    id              INTEGER PRIMARY KEY,
    at              INTEGER NOT NULL,
    project_id      INTEGER NOT NULL,
    project_path    TEXT NOT NULL,
    job_id          INTEGER NOT NULL,
    job_name        TEXT NOT NULL,
    rule            TEXT NOT NULL,
    reason          TEXT NOT NULL,
    expire_at       INTEGER,
    result          TEXT NOT NULL,
    detail          TEXT NOT NULL
) STRICT;
