-- name: add
INSERT OR IGNORE INTO transfer (
    project_id, job_id, pipeline_id, ref, dest, dest_folded, transfer, ended_at, deadline, due, priority, backfill,
    state, lost, outcome, published_files, published_at, size, manifest_sha256
)
VALUES (
    :project_id, :job_id, :pipeline_id, :ref, :dest, :dest_folded, :transfer, :ended_at, :deadline, :due, :priority, :backfill,
    :state, :lost, :outcome, :published_files, :published_at, :size, :manifest_sha256
);
