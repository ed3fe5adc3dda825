-- name: note
INSERT INTO trouble (subject, error, hint, since) VALUES (:subject, :error, :hint, :since)
ON CONFLICT (subject) DO UPDATE SET error = excluded.error, hint = excluded.hint;

-- name: clear
DELETE FROM trouble WHERE subject = :subject;

-- name: clear_all
DELETE FROM trouble;

-- name: first
SELECT subject, error, hint, since FROM trouble ORDER BY since, subject LIMIT :limit;
