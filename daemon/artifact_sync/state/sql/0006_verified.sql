-- When everything of a publication was last hashed in the store; none: not since it was published.
ALTER TABLE transfer ADD COLUMN verified_at INTEGER;

-- When the job ended; 0 where GitLab does not say.
ALTER TABLE transfer ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0;
-- 2440587.5 is the Julian day of 1970-01-01.
UPDATE transfer SET ended_at = CAST(
    coalesce(julianday(json_extract(transfer, '$.job.finished_at')) - 2440587.5, 0) * 86400000 AS INTEGER
) * 1000
WHERE json_valid(transfer);

-- Their terms stand word for word in queries/verification.sql, or they would not be used.
CREATE INDEX transfer_unverified ON transfer (coalesce(verified_at, published_at)) WHERE state = 'published';
CREATE INDEX transfer_verified ON transfer (verified_at) WHERE verified_at IS NOT NULL;
CREATE INDEX transfer_ended ON transfer (ended_at, id) WHERE state = 'published';
