-- name: all
SELECT kind, name FROM owner;

-- name: save
INSERT INTO owner (kind, name) VALUES (:kind, :name) ON CONFLICT (kind) DO UPDATE SET name = excluded.name;
