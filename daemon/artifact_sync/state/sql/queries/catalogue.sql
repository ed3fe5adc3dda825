-- name: projects
WITH RECURSIVE known (id) AS (
    SELECT min(project_id) FROM transfer WHERE project_id > :after
    UNION ALL
    SELECT (SELECT min(transfer.project_id) FROM transfer WHERE transfer.project_id > known.id)
    FROM known WHERE known.id IS NOT NULL
)
SELECT
    known.id,
    coalesce(
        (SELECT path FROM project WHERE project.id = known.id),
        (
            SELECT CASE WHEN json_valid(transfer) THEN json_extract(transfer, '$.project_path') END FROM transfer
            WHERE transfer.project_id = known.id ORDER BY job_id DESC LIMIT 1
        )
    ) AS path
FROM known
WHERE known.id IS NOT NULL AND (
    NOT :mirrored OR EXISTS (
        SELECT 1 FROM transfer
        WHERE transfer.project_id = known.id AND published_at IS NOT NULL AND lost = 0
            AND state NOT IN ('pruning', 'pruned')
    )
)
ORDER BY known.id LIMIT :limit;

-- name: named
SELECT id FROM project WHERE path = :path;

-- name: polled
SELECT max(polled_at) FROM project;

-- name: jobs
SELECT DISTINCT job_id FROM transfer
WHERE project_id = :project_id AND job_id < :before AND published_at IS NOT NULL AND lost = 0
    AND state NOT IN ('pruning', 'pruned')
    AND (
        :statuses IS NULL
        OR CASE WHEN json_valid(transfer) THEN json_extract(transfer, '$.job.status') END
            IN (SELECT value FROM json_each(:statuses))
    )
ORDER BY job_id DESC LIMIT :limit OFFSET :offset;

-- name: pipeline
SELECT job_id, transfer FROM transfer INDEXED BY transfer_by_pipeline
WHERE project_id = :project_id
    AND pipeline_id = :pipeline_id AND published_at IS NOT NULL AND lost = 0 AND state NOT IN ('pruning', 'pruned')
ORDER BY job_id DESC LIMIT :limit;

-- name: ref
SELECT job_id, transfer FROM transfer INDEXED BY transfer_by_ref
WHERE project_id = :project_id
    AND ref = :ref AND job_id < :before AND published_at IS NOT NULL AND lost = 0 AND state NOT IN ('pruning', 'pruned')
ORDER BY job_id DESC LIMIT :limit;

-- name: copies
SELECT id, project_id, job_id, dest, transfer, published_at FROM transfer
WHERE project_id = :project_id AND job_id = :job_id AND published_at IS NOT NULL AND lost = 0
    AND state NOT IN ('pruning', 'pruned')
ORDER BY published_at DESC, id DESC;

-- name: files
SELECT published_files FROM transfer WHERE id = :id AND published_at IS NOT NULL AND lost = 0
    AND state NOT IN ('pruning', 'pruned');

-- name: pinned
SELECT job_id FROM pin WHERE project_id = :project_id AND job_id IN (SELECT value FROM json_each(:jobs));
