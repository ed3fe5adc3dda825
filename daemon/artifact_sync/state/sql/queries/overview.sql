-- Of each set of rules that selected a job: rules share a transfer where they render the same destination.
-- name: lags
SELECT
    json_extract(transfer, '$.rules') AS rules,
    max(ended_at) AS newest_finished,
    max(CASE WHEN state IN ('published', 'pruning', 'pruned') THEN ended_at END) AS newest_mirrored,
    min(CASE WHEN state IN ('wanted', 'downloading', 'staged') THEN nullif(ended_at, 0) END) AS oldest_waiting,
    sum(state IN ('wanted', 'downloading', 'staged')) AS waiting
FROM transfer
GROUP BY 1;

-- name: at_risk
SELECT count(*) FROM transfer INDEXED BY transfer_open
WHERE state IN ('wanted', 'downloading', 'staged') AND deadline <= :until;

-- name: sizes
SELECT state, coalesce(sum(size), 0) AS size FROM transfer INDEXED BY transfer_figures
WHERE state IN ('published', 'pruning', 'pruned')
GROUP BY state;

-- name: announced
SELECT
    CASE WHEN state = 'wanted' AND lost THEN 'lost' ELSE state END AS state,
    coalesce(sum(json_extract(item.value, '$.size')), 0) AS size
FROM transfer, json_each(transfer, '$.items') AS item
WHERE state IN ('wanted', 'downloading', 'staged', 'failed')
GROUP BY 1;

-- name: projects
SELECT count(*) AS number, max(polled_at) AS polled_at FROM project;

-- name: troubles
SELECT count(*) FROM trouble;
