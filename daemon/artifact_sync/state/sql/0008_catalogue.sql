-- What is asked for by pipeline, or by ref; none where GitLab said none.
ALTER TABLE transfer ADD COLUMN pipeline_id INTEGER;
ALTER TABLE transfer ADD COLUMN ref TEXT;
UPDATE transfer SET
    pipeline_id = json_extract(transfer, '$.job.pipeline.id'),
    ref = json_extract(transfer, '$.job.ref')
WHERE json_valid(transfer);

CREATE INDEX transfer_by_pipeline ON transfer (project_id, pipeline_id, job_id DESC) WHERE published_at IS NOT NULL;
CREATE INDEX transfer_by_ref ON transfer (project_id, ref, job_id DESC) WHERE published_at IS NOT NULL;
