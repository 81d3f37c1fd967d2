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

-- name: search_facts
-- parameters: person_id words limit
SELECT facts.id, facts.person_id, facts.text, facts.created_at, facts.source_message_id, facts.assistant,
       facts.importance,
       facts.extracted
FROM antiphon_stemmed_query($2) query
JOIN facts ON facts.found @@ query
WHERE facts.person_id = $1
ORDER BY ts_rank(facts.found, query, 1) DESC, facts.number DESC
LIMIT $3

-- name: similar_facts
-- parameters: person_id trigrams pairs limit
SELECT facts.id, facts.person_id, facts.text, facts.created_at, facts.source_message_id, facts.assistant,
       facts.importance,
       facts.extracted
FROM facts
WHERE facts.person_id = $1 AND facts.text ILIKE ANY (
    SELECT '%' || piece || '%' FROM unnest(string_to_array($2::text, ' ') || string_to_array($3::text, ' ')) piece
    WHERE piece != ''
)
ORDER BY facts.number DESC
LIMIT $4
