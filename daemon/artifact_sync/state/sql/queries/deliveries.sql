-- name: seen
SELECT id, received_at FROM delivery WHERE received_at >= :since ORDER BY received_at DESC LIMIT :most;

-- name: add
INSERT INTO delivery (id, received_at) VALUES (:id, :received_at) ON CONFLICT (id) DO NOTHING;

-- name: forget
DELETE FROM delivery WHERE received_at < :before;

-- name: forget_all_but
DELETE FROM delivery WHERE id IN (SELECT id FROM delivery ORDER BY received_at DESC LIMIT -1 OFFSET :most);
