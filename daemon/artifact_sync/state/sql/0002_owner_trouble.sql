-- Whose state this is: the ids in it mean nothing to another GitLab, and its files lie in one store.
CREATE TABLE owner (
    kind    TEXT PRIMARY KEY,
    name    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What could not be looked at, with the last reason.
CREATE TABLE trouble (
    subject TEXT PRIMARY KEY,
    error   TEXT NOT NULL,
    hint    TEXT NOT NULL,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
