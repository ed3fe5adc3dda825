-- name: mirrored_after
SELECT * FROM transfer
WHERE id > :after AND state IN ('published', 'wanted', 'failed') AND published_files <> '[]'
ORDER BY id LIMIT :limit;

-- name: newest_before
SELECT * FROM transfer INDEXED BY transfer_ended
WHERE state = 'published' AND (ended_at, id) < (:ended, :before)
ORDER BY ended_at DESC, id DESC
LIMIT :limit;

-- name: at
SELECT * FROM transfer WHERE dest_folded = :dest_folded AND dest = :dest;

-- name: stalest
SELECT * FROM transfer INDEXED BY transfer_unverified
WHERE state = 'published'
ORDER BY coalesce(verified_at, published_at) LIMIT :limit;

-- name: oldest
SELECT coalesce(verified_at, published_at) AS at FROM transfer INDEXED BY transfer_unverified
WHERE state = 'published'
ORDER BY coalesce(verified_at, published_at) LIMIT 1;

-- name: latest
SELECT max(verified_at) AS at FROM transfer INDEXED BY transfer_verified WHERE verified_at IS NOT NULL;

-- name: figures
SELECT count(*), coalesce(sum(size), 0) FROM transfer INDEXED BY transfer_figures WHERE state = 'published';

-- name: holding_after
SELECT * FROM transfer
WHERE id > :after AND state = 'published' AND instr(published_files, :sha256)
ORDER BY id LIMIT :limit;

-- name: verified
UPDATE transfer SET verified_at = :at WHERE id = :id AND state = 'published';

-- name: damaged
UPDATE transfer SET
    state = 'wanted', lost = 1, attempts = 0, next_attempt_at = NULL, outcome = NULL, verified_at = NULL
WHERE id = :id AND state IN ('published', 'wanted', 'failed') AND published_files <> '[]';

-- name: standing
SELECT * FROM transfer WHERE id = :id AND state IN ('published', 'wanted', 'failed') AND published_files <> '[]';

-- name: mended
UPDATE transfer SET
    state = :state,
    lost = 0,
    attempts = 0,
    next_attempt_at = NULL,
    outcome = CASE WHEN :state = 'published' THEN 'published' END,
    error = '',
    failure = CASE WHEN :state = 'published' THEN NULL ELSE failure END,
    size = :size,
    manifest_sha256 = :manifest_sha256,
    verified_at = :at
WHERE id = :id;

-- name: next_lost
SELECT id FROM transfer INDEXED BY transfer_figures
WHERE state = 'wanted' AND lost = 1 AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
ORDER BY due, id LIMIT 1;

-- name: open_lost
SELECT count(*) FROM transfer INDEXED BY transfer_figures
WHERE state IN ('wanted', 'downloading', 'staged') AND lost = 1;

-- name: next_lost_attempt
SELECT next_attempt_at FROM transfer INDEXED BY transfer_figures
WHERE state = 'wanted' AND lost = 1
ORDER BY next_attempt_at LIMIT 1;
