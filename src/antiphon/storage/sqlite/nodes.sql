-- Which processes of a house live, written by hand: a file is one process's at a time, so that all others have gone.

-- name: node_gone
SELECT node FROM inbox WHERE state != 'ended' AND state != 'waiting' AND node != :node
UNION SELECT inbox.node FROM outbox JOIN inbox ON inbox.id = outbox.turn_id
WHERE outbox.state IN ('pending', 'sending') AND inbox.node != :node
