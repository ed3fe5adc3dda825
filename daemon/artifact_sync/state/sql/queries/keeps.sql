-- name: add_due
INSERT INTO keep_due
    (project_id, job_id, rule, project_path, job_name, ref, due_at, expire_at, always, attempts)
VALUES
    (:project_id, :job_id, :rule, :project_path, :job_name, :ref, :due_at, :expire_at, :always, :attempts)
ON CONFLICT (project_id, job_id, rule) DO NOTHING;

-- name: forget_mirrored
DELETE FROM keep_due
WHERE settled = 0 AND due_at <= :now AND NOT always
    -- A job of which nothing was to be fetched is not mirrored.
    AND EXISTS (
        SELECT 1 FROM transfer
        WHERE transfer.project_id = keep_due.project_id AND transfer.job_id = keep_due.job_id
    )
    AND NOT EXISTS (
        SELECT 1 FROM transfer
        WHERE transfer.project_id = keep_due.project_id AND transfer.job_id = keep_due.job_id
            AND transfer.state NOT IN ('published', 'pruning', 'pruned')
    );

-- name: due
SELECT project_id, project_path, job_id, job_name, ref, rule, due_at, expire_at, always, attempts FROM keep_due
WHERE settled = 0 AND due_at <= :now
ORDER BY expire_at, project_id, job_id, rule
LIMIT :limit;

-- name: next_due
SELECT min(due_at) FROM keep_due WHERE settled = 0;

-- name: count_due
SELECT count(*) FROM keep_due
WHERE settled = 0 AND (
    always
    OR NOT EXISTS (
        SELECT 1 FROM transfer
        WHERE transfer.project_id = keep_due.project_id AND transfer.job_id = keep_due.job_id
    )
    OR EXISTS (
        SELECT 1 FROM transfer
        WHERE transfer.project_id = keep_due.project_id AND transfer.job_id = keep_due.job_id
            AND transfer.state NOT IN ('published', 'pruning', 'pruned')
    )
);

-- name: again
UPDATE keep_due SET attempts = attempts + 1, due_at = :due_at, expire_at = coalesce(:expire_at, expire_at)
WHERE project_id = :project_id AND job_id = :job_id AND rule = :rule;

-- name: download_first
UPDATE transfer SET due = min(due, :first)
WHERE project_id = :project_id AND state IN ('wanted', 'downloading', 'staged') AND job_id IN (
    SELECT job_id FROM keep_due
    WHERE project_id = :project_id AND settled = 0 AND due_at <= :due_by AND ref = coalesce(:ref, ref)
);

-- name: shift
UPDATE keep_due SET due_at = :to
WHERE project_id = :project_id AND settled = 0 AND due_at <= :due_by AND ref = coalesce(:ref, ref);

-- name: settle
UPDATE keep_due SET attempts = attempts + 1, settled = 1
WHERE project_id = :project_id AND job_id = :job_id AND rule = :rule;

-- name: settle_job
UPDATE keep_due SET settled = 1 WHERE project_id = :project_id AND job_id = :job_id;

-- name: add_entry
INSERT INTO keep_entry
    (at, project_id, project_path, job_id, job_name, rule, reason, expire_at, result, detail)
VALUES
    (:at, :project_id, :project_path, :job_id, :job_name, :rule, :reason, :expire_at, :result, :detail);

-- name: entries_before
SELECT id, at, project_id, project_path, job_id, job_name, rule, reason, expire_at, result, detail FROM keep_entry
WHERE id < :before ORDER BY id DESC LIMIT :limit;
