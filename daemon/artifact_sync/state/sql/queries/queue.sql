-- name: pressing
SELECT id FROM transfer INDEXED BY transfer_urgent
WHERE state = 'wanted' AND due <= :pressing AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
ORDER BY due, priority DESC, backfill, job_id DESC
LIMIT 1;

-- name: class_of_next
SELECT backfill, priority FROM transfer INDEXED BY transfer_turn
WHERE state = 'wanted' AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
ORDER BY backfill, priority DESC
LIMIT 1;

-- name: next_turn
SELECT id, project_id FROM transfer INDEXED BY transfer_turn
WHERE state = 'wanted' AND backfill = :backfill AND priority = :priority AND project_id > :after
    AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
ORDER BY project_id, due, job_id DESC
LIMIT 1;

-- name: take
UPDATE transfer SET state = 'downloading', gained = 0, next_attempt_at = NULL WHERE id = :id RETURNING *;

-- name: state_of
SELECT state FROM transfer WHERE id = :id;

-- name: stage
UPDATE transfer SET state = 'staged', staged_files = :files WHERE id = :id;

-- name: files_of
SELECT staged_files, published_files, gained, lost, transfer FROM transfer WHERE id = :id;

-- name: publish
UPDATE transfer SET
    state = CASE WHEN gained THEN 'wanted' ELSE 'published' END,
    gained = 0,
    lost = 0,
    attempts = CASE WHEN gained THEN 0 ELSE attempts END,
    next_attempt_at = NULL,
    outcome = CASE WHEN gained THEN NULL ELSE 'published' END,
    error = '',
    failure = NULL,
    staged_files = '[]',
    published_files = :files,
    published_at = :at,
    size = :size,
    manifest_sha256 = :manifest_sha256
WHERE id = :id;

-- name: release
UPDATE transfer SET state = 'wanted', gained = 0, next_attempt_at = NULL, staged_files = '[]' WHERE id = :id;

-- name: fail
UPDATE transfer SET
    state = CASE WHEN :retry_at IS NOT NULL OR gained THEN 'wanted' ELSE 'failed' END,
    gained = 0,
    attempts = attempts + 1,
    next_attempt_at = :retry_at,
    outcome = :outcome,
    error = :error,
    failure = (SELECT coalesce(max(failure), 0) + 1 FROM transfer WHERE failure IS NOT NULL),
    staged_files = '[]'
WHERE id = :id;

-- name: lost
UPDATE transfer SET state = 'wanted', lost = 1, attempts = 0, next_attempt_at = NULL, outcome = NULL
WHERE id = :id;

-- name: open_count
SELECT count(*) FROM transfer WHERE state IN ('wanted', 'downloading', 'staged');

-- name: next_attempt
SELECT next_attempt_at FROM transfer INDEXED BY transfer_retry
WHERE state = 'wanted'
ORDER BY next_attempt_at LIMIT 1;

-- name: revive
UPDATE transfer SET state = 'wanted', attempts = 0, next_attempt_at = NULL
WHERE state = 'failed' AND outcome NOT IN ('gone', 'too large');

-- name: hasten
UPDATE transfer SET next_attempt_at = NULL
WHERE state = 'wanted' AND next_attempt_at IS NOT NULL;
