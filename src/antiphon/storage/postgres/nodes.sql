-- Which processes of a house live, written by hand: no other database tells who holds a lock. A process holds the lock
-- of its node as long as it is connected, whatever its clock says (`claim.py`).

-- name: node_gone
-- parameters: node
SELECT node
FROM (
    SELECT node FROM inbox WHERE state != 'ended' AND state != 'waiting'
    UNION SELECT inbox.node FROM outbox JOIN inbox ON inbox.id = outbox.turn_id
    WHERE outbox.state IN ('pending', 'sending')
    UNION SELECT $1::text
) known
WHERE NOT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = hashtextextended(node, 1634628713)
)
