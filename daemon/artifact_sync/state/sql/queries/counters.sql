-- name: add
INSERT INTO counter (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = value + excluded.value;

-- name: all
SELECT name, value FROM counter ORDER BY name;
