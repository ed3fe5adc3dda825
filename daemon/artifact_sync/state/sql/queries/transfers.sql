-- name: known
SELECT id, transfer, state, published_files FROM transfer
WHERE project_id = :project_id AND job_id = :job_id AND dest IN (:dest, :suffixed)
ORDER BY dest = :dest DESC
LIMIT 1;

-- name: is_taken
SELECT transfer FROM transfer WHERE dest_folded = :dest_folded;

-- name: insert
INSERT INTO transfer (
    project_id, job_id, pipeline_id, ref, dest, dest_folded, transfer, ended_at, deadline, due, priority, backfill, state
)
VALUES (
    :project_id, :job_id, :pipeline_id, :ref, :dest, :dest_folded, :transfer, :ended_at, :deadline, :due, :priority,
    :backfill, 'wanted'
)
RETURNING *;

-- name: take_up_rules
UPDATE transfer SET transfer = :transfer WHERE id = :id;

-- name: take_up_items
UPDATE transfer SET
    transfer = :transfer,
    gained = CASE WHEN state IN ('downloading', 'staged') THEN 1 ELSE 0 END,
    attempts = CASE WHEN state IN ('downloading', 'staged') THEN attempts ELSE 0 END,
    next_attempt_at = CASE WHEN state IN ('downloading', 'staged') THEN next_attempt_at END,
    outcome = CASE WHEN state <> 'published' THEN outcome END,
    state = CASE WHEN state IN ('downloading', 'staged') THEN state ELSE 'wanted' END
WHERE id = :id;

-- name: find
SELECT * FROM transfer WHERE project_id = :project_id AND job_id = :job_id ORDER BY id;

-- name: unfinished
SELECT * FROM transfer WHERE state IN ('downloading', 'staged') ORDER BY id;

-- name: published_after
SELECT * FROM transfer WHERE state = 'published' AND id > :after ORDER BY id LIMIT :limit;

-- name: open_of_job
SELECT id, transfer FROM transfer
WHERE project_id = :project_id AND job_id = :job_id AND state IN ('wanted', 'downloading', 'staged');

-- name: set_deadline
UPDATE transfer SET transfer = :transfer, deadline = :deadline,
    due = CASE WHEN deadline IS NULL THEN min(due, :due) ELSE :due END
WHERE id = :id;

-- name: count_by_state
SELECT CASE WHEN state = 'wanted' AND lost THEN 'lost' ELSE state END, count(*) FROM transfer GROUP BY 1;

-- name: published_bytes
SELECT coalesce(sum(size), 0) FROM transfer WHERE state = 'published';

-- name: at_risk
SELECT * FROM transfer INDEXED BY transfer_open
WHERE state IN ('wanted', 'downloading', 'staged') AND deadline IS NOT NULL
ORDER BY deadline, id LIMIT :limit;

-- name: failures
SELECT * FROM transfer WHERE failure IS NOT NULL ORDER BY failure DESC LIMIT :limit;

-- name: part_record
SELECT transfer_id, item, size, etag, total FROM part WHERE transfer_id = :transfer_id AND item = :item;

-- name: save_part
INSERT INTO part (transfer_id, item, size, etag, total)
VALUES (:transfer_id, :item, :size, :etag, :total)
ON CONFLICT (transfer_id, item) DO UPDATE SET
    size = excluded.size,
    etag = excluded.etag,
    total = excluded.total;

-- name: resumable
SELECT DISTINCT transfer_id FROM part WHERE size > 0;

-- name: forget_parts
DELETE FROM part WHERE transfer_id = :transfer_id;
