-- name: pruning
UPDATE transfer SET state = 'pruning', pruned_at = :at, pruned_why = :why, trash = :trash, restoring = 0
WHERE id = :id AND state = 'published' AND NOT EXISTS (
    SELECT 1 FROM pin WHERE pin.project_id = transfer.project_id AND pin.job_id = transfer.job_id
);

-- name: pruned
UPDATE transfer SET state = 'pruned', restoring = 0 WHERE id = :id AND state = 'pruning';

-- name: restoring
UPDATE transfer SET state = 'pruning', restoring = 1 WHERE id = :id AND state = 'pruned' AND trash IS NOT NULL;

-- name: restored
UPDATE transfer SET state = 'published', pruned_at = NULL, pruned_why = '', trash = NULL, restoring = 0
WHERE id = :id AND state = 'pruning';

-- name: half_pruned
SELECT * FROM transfer WHERE state = 'pruning' ORDER BY id;

-- name: in_trash
SELECT * FROM transfer INDEXED BY transfer_trash
WHERE trash IS NOT NULL AND state = 'pruned' AND (pruned_at, id) > (:at, :after)
ORDER BY pruned_at, id LIMIT :limit;

-- name: emptied
UPDATE transfer SET trash = NULL WHERE trash = :trash AND state = 'pruned';

-- name: trash_figures
SELECT count(*), coalesce(sum(size), 0) FROM transfer INDEXED BY transfer_trash WHERE trash IS NOT NULL;

-- name: objects_after
SELECT id, staged_files, published_files FROM transfer WHERE state <> 'pruned' AND id > :after ORDER BY id LIMIT :limit;

-- name: pin
INSERT INTO pin (project_id, project_path, job_id, at, reason) VALUES (:project_id, :project_path, :job_id, :at, :reason)
ON CONFLICT (project_id, job_id) DO UPDATE SET
    project_path = excluded.project_path,
    at = excluded.at,
    reason = excluded.reason;

-- name: unpin
DELETE FROM pin WHERE project_id = :project_id AND job_id = :job_id;

-- name: pins
SELECT project_id, project_path, job_id, at, reason FROM pin ORDER BY at DESC, project_id, job_id;

-- name: note_look
INSERT OR REPLACE INTO retention_look
    (id, at, publications, orphans, orphan_bytes, removable, removable_bytes)
VALUES (1, :at, :publications, :orphans, :orphan_bytes, :removable, :removable_bytes);

-- name: look
SELECT at, publications, orphans, orphan_bytes, removable, removable_bytes FROM retention_look;

-- name: order
INSERT INTO prune_order (at, wanted) VALUES (:at, :wanted) RETURNING id;

-- name: next_order
SELECT id, wanted FROM prune_order WHERE answer IS NULL AND at >= :since ORDER BY id LIMIT 1;

-- name: withdraw
DELETE FROM prune_order WHERE id = :id AND answer IS NULL;

-- name: answer
UPDATE prune_order SET answer = :answer WHERE id = :id;

-- name: answer_of
SELECT answer FROM prune_order WHERE id = :id;

-- name: forget_orders
DELETE FROM prune_order WHERE at < :before;
