-- name: at_risk
SELECT * FROM transfer INDEXED BY transfer_open
WHERE state IN ('wanted', 'downloading', 'staged') AND deadline IS NOT NULL
    AND (:scope IS NULL OR project_id IN (SELECT value FROM json_each(:scope)))
ORDER BY deadline, id LIMIT :limit;

-- name: expiring
SELECT count(*) FROM transfer INDEXED BY transfer_open
WHERE state IN ('wanted', 'downloading', 'staged') AND deadline >= :since AND deadline < :until
    AND (:scope IS NULL OR project_id IN (SELECT value FROM json_each(:scope)));

-- name: running
SELECT * FROM transfer INDEXED BY transfer_state
WHERE state IN ('downloading', 'staged')
    AND (:scope IS NULL OR project_id IN (SELECT value FROM json_each(:scope)))
ORDER BY id LIMIT :limit;

-- name: failed
SELECT * FROM transfer INDEXED BY transfer_failure
WHERE failure IS NOT NULL AND (:scope IS NULL OR project_id IN (SELECT value FROM json_each(:scope)))
ORDER BY failure DESC LIMIT :limit;

-- name: recent
SELECT * FROM transfer INDEXED BY transfer_ended WHERE state = 'published' ORDER BY ended_at DESC, id DESC LIMIT :limit;

-- name: recent_of
SELECT * FROM transfer WHERE project_id = :project_id AND state = 'published' ORDER BY job_id DESC LIMIT :limit;

-- name: published
SELECT * FROM transfer
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'published'
    AND (:scope IS NULL OR project_id IN (SELECT value FROM json_each(:scope)));

-- name: refs
WITH RECURSIVE known (ref) AS (
    SELECT (
        SELECT ref FROM transfer INDEXED BY transfer_by_ref
        WHERE project_id = :project_id AND ref > :after AND published_at IS NOT NULL ORDER BY ref LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT transfer.ref FROM transfer INDEXED BY transfer_by_ref
        WHERE project_id = :project_id AND transfer.ref > known.ref AND published_at IS NOT NULL
        ORDER BY transfer.ref LIMIT 1
    )
    FROM known WHERE known.ref IS NOT NULL
)
SELECT (
    SELECT id FROM transfer INDEXED BY transfer_by_ref
    WHERE project_id = :project_id AND transfer.ref = known.ref AND published_at IS NOT NULL AND lost = 0
        AND state NOT IN ('pruning', 'pruned')
    ORDER BY job_id DESC LIMIT 1
) AS newest
FROM known WHERE known.ref IS NOT NULL AND newest IS NOT NULL LIMIT :limit;

-- name: one
SELECT * FROM transfer WHERE id = :id;

-- name: numbered
WITH RECURSIVE known (id) AS (
    SELECT min(project_id) FROM transfer
    UNION ALL
    SELECT (SELECT min(transfer.project_id) FROM transfer WHERE transfer.project_id > known.id)
    FROM known WHERE known.id IS NOT NULL
)
SELECT transfer.* FROM known CROSS JOIN transfer ON transfer.project_id = known.id AND transfer.job_id = :job_id
WHERE :scope IS NULL OR known.id IN (SELECT value FROM json_each(:scope))
LIMIT :limit;

-- name: placed
-- The index over destinations has nothing else in it, so that looking through all of them is quick.
SELECT transfer.* FROM (
    SELECT id FROM transfer
    WHERE (instr(dest_folded, :word_0) OR instr(dest_folded, :place_0))
        AND (instr(dest_folded, :word_1) OR instr(dest_folded, :place_1))
        AND (instr(dest_folded, :word_2) OR instr(dest_folded, :place_2))
        AND (instr(dest_folded, :word_3) OR instr(dest_folded, :place_3))
    ORDER BY +id DESC LIMIT :matches
) AS found CROSS JOIN transfer ON transfer.id = found.id
WHERE :scope IS NULL OR transfer.project_id IN (SELECT value FROM json_each(:scope))
ORDER BY transfer.id DESC LIMIT :limit;
