-- name: add
INSERT INTO hook (transfer_id, rule, kind, manifest_sha256, published_at, due_at)
VALUES (:transfer_id, :rule, :kind, :manifest_sha256, :at, :at);

-- name: hasten
UPDATE hook INDEXED BY hook_transfer SET due_at = min(due_at, :at)
WHERE state = 'waiting' AND kind = :kind AND attempts = 0 AND transfer_id IN (
    SELECT other.id FROM transfer
    JOIN transfer AS other ON other.project_id = transfer.project_id AND other.job_id = transfer.job_id
    WHERE transfer.id = :transfer_id
);

-- name: one
SELECT * FROM hook WHERE id = :id;

-- name: oldest
SELECT id, rule, kind, due_at FROM hook INDEXED BY hook_in_order
WHERE state = 'waiting' AND rule = :rule AND kind = :kind
ORDER BY id LIMIT 1;

-- name: soonest
SELECT id, rule, kind, due_at FROM hook INDEXED BY hook_by_time
WHERE state = 'waiting' AND kind = :kind
ORDER BY due_at, id LIMIT :limit;

-- name: waiting_kinds
SELECT rule, kind, count(*) AS number FROM hook WHERE state = 'waiting' GROUP BY rule, kind;

-- name: drop
UPDATE hook SET state = 'skipped', detail = :detail, hint = '', ended_at = :at
WHERE state = 'waiting' AND rule = :rule AND kind = :kind;

-- name: ended
UPDATE hook SET
    state = :state,
    attempts = attempts + CASE WHEN :state = 'failed' THEN 1 ELSE 0 END,
    detail = :detail,
    hint = :hint,
    ended_at = :at
WHERE id = :id AND state = 'waiting';

-- name: again
UPDATE hook SET attempts = attempts + :counted, detail = :detail, hint = :hint, due_at = :due_at
WHERE id = :id AND state = 'waiting';

-- name: retry
UPDATE hook SET state = 'waiting', attempts = 0, due_at = :now, ended_at = NULL
WHERE state = 'failed';

-- name: retry_job
UPDATE hook SET state = 'waiting', attempts = 0, due_at = :now, ended_at = NULL
WHERE state = 'failed' AND transfer_id IN (
    SELECT id FROM transfer WHERE project_id = :project_id AND job_id = :job_id
);

-- name: of_job
SELECT hook.* FROM hook JOIN transfer ON transfer.id = hook.transfer_id
WHERE transfer.project_id = :project_id AND transfer.job_id = :job_id
ORDER BY hook.id;

-- name: failed
SELECT * FROM hook WHERE state = 'failed' ORDER BY id DESC LIMIT :limit;

-- name: retrying
SELECT * FROM hook WHERE state = 'waiting' AND detail <> '' ORDER BY id LIMIT :limit;

-- name: count_by_state
SELECT state, count(*) AS number FROM hook GROUP BY state;

-- name: transfer
SELECT * FROM transfer WHERE id = :id;

-- name: always_kept_by
SELECT rule FROM keep_due WHERE project_id = :project_id AND job_id = :job_id AND always;
