-- What moved among pipelines: from where on to ask, and which pipelines run in another project.
ALTER TABLE project ADD COLUMN newest_pipeline_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE project ADD COLUMN moved_to INTEGER;
ALTER TABLE project ADD COLUMN children_moved_to INTEGER;
ALTER TABLE project ADD COLUMN children_at INTEGER;
ALTER TABLE project ADD COLUMN looked_at TEXT NOT NULL DEFAULT '[]';
ALTER TABLE project ADD COLUMN children_looked_at TEXT NOT NULL DEFAULT '[]';
ALTER TABLE watched_pipeline ADD COLUMN runs_in INTEGER;

-- When a transfer's turn has come at the latest: its deadline, or a patience after it was found.
ALTER TABLE transfer ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
UPDATE transfer SET due = deadline WHERE deadline IS NOT NULL;

DROP INDEX transfer_claim;
-- Their terms stand word for word in queries/queue.sql, or they would not be used.
CREATE INDEX transfer_urgent ON transfer (due, priority DESC, backfill, job_id DESC, next_attempt_at)
    WHERE state = 'wanted';
CREATE INDEX transfer_turn ON transfer (backfill, priority DESC, project_id, due, job_id DESC, next_attempt_at)
    WHERE state = 'wanted';
