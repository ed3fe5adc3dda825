-- Protected refs refuse what others grant.
ALTER TABLE keep_due ADD COLUMN ref TEXT NOT NULL DEFAULT '';

-- What was counted since the state was made.
CREATE TABLE counter (
    name    TEXT PRIMARY KEY,
    value   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether it ever had child pipelines.
ALTER TABLE project ADD COLUMN children INTEGER NOT NULL DEFAULT 1 CHECK (children IN (0, 1));
