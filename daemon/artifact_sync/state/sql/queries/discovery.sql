-- name: progress
SELECT * FROM project WHERE id = :project_id;

-- name: all_progress
SELECT * FROM project ORDER BY path, id;

-- name: save_progress
INSERT INTO project (
    id, path, newest_job_id, backfill_next, backfill_done, horizon,
    newest_pipeline_id, moved_to, children_moved_to, children_at, children, looked_at,
    children_looked_at, rules, polled_at
)
VALUES (
    :id, :path, :newest_job_id, :backfill_next, :backfill_done, :horizon,
    :newest_pipeline_id, :moved_to, :children_moved_to, :children_at, :children, :looked_at,
    :children_looked_at, :rules, :polled_at
)
ON CONFLICT (id) DO UPDATE SET
    path = excluded.path,
    newest_job_id = excluded.newest_job_id,
    backfill_next = excluded.backfill_next,
    backfill_done = excluded.backfill_done,
    horizon = excluded.horizon,
    newest_pipeline_id = excluded.newest_pipeline_id,
    moved_to = excluded.moved_to,
    children_moved_to = excluded.children_moved_to,
    children_at = excluded.children_at,
    children = excluded.children,
    looked_at = excluded.looked_at,
    children_looked_at = excluded.children_looked_at,
    rules = excluded.rules,
    polled_at = excluded.polled_at;

-- name: watch
INSERT INTO watched_pipeline (project_id, pipeline_id, look_at, looks, seen, runs_in)
VALUES (:project_id, :pipeline_id, :look_at, :looks, :seen, :runs_in)
ON CONFLICT (project_id, pipeline_id) DO UPDATE SET
    look_at = excluded.look_at,
    looks = excluded.looks,
    seen = excluded.seen,
    runs_in = excluded.runs_in;

-- name: unwatch
DELETE FROM watched_pipeline WHERE project_id = :project_id AND pipeline_id = :pipeline_id;

-- name: due_pipelines
SELECT project_id, pipeline_id, look_at, looks, seen, runs_in FROM watched_pipeline
WHERE project_id = :project_id AND look_at <= :now
ORDER BY looks > 0, look_at, pipeline_id DESC
LIMIT :limit;

-- name: hasten
UPDATE watched_pipeline SET look_at = :now WHERE project_id = :project_id AND look_at > :now;

-- name: watched
SELECT pipeline_id FROM watched_pipeline WHERE project_id = :project_id;

-- name: next_look
SELECT min(look_at) FROM watched_pipeline WHERE project_id = :project_id;

-- name: count_watched
SELECT count(*) FROM watched_pipeline;
