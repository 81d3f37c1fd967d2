-- Full-text search of PostgreSQL (tsvector, GIN), written by hand: no other database has it. `antiphon_query` matches
-- any of the words; rank 1 holds the length of a text against it, as BM25 does.

-- name: search_messages
-- parameters: person_id words exclude limit
SELECT conversations.id, conversations.title, messages.id, messages.role,
       messages.text, messages.created_at, ts_rank(messages.found, query, 1)::float8, $2::text
FROM antiphon_query($2) query
JOIN messages ON messages.found @@ query
JOIN conversations ON conversations.id = messages.conversation_id
WHERE conversations.person_id = $1 AND conversations.id != $3
ORDER BY 7 DESC, messages.number DESC
LIMIT $4

-- name: search_notes
-- parameters: person_id words limit
SELECT notes.id, notes.person_id, notes.text, notes.source_message_id, notes.created_at
FROM antiphon_query($2) query
JOIN notes ON notes.found @@ query
WHERE notes.person_id = $1
ORDER BY ts_rank(notes.found, query, 1) DESC, notes.number DESC
LIMIT $3
