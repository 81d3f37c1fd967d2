-- Full-text search of SQLite (FTS5), written by hand: no other database has it. The words come from words_of, so that
-- in quotes nothing in them is syntax (https://sqlite.org/fts5.html#full_text_query_syntax).

-- name: index_messages
-- What the index does not hold yet: numbers only grow, so that is everything behind the last one it holds.
INSERT INTO messages_fts(rowid, text)
SELECT number, text FROM messages
WHERE number > coalesce((SELECT max(id) FROM messages_fts_docsize), 0) AND role != 'system'
ORDER BY number

-- name: search_messages
SELECT conversations.id, conversations.title, messages.id, messages.role,
       messages.text, messages.created_at, -bm25(messages_fts), :words
FROM messages_fts
JOIN messages ON messages.number = messages_fts.rowid
JOIN conversations ON conversations.id = messages.conversation_id
WHERE messages_fts MATCH '"' || replace(:words, ' ', '" OR "') || '"'
  AND conversations.person_id = :person_id AND conversations.id != :exclude
ORDER BY bm25(messages_fts), messages.number DESC
LIMIT :limit

-- name: search_facts
-- Of most people little or nothing is remembered: the index is asked only where they have a fact at all, which CROSS JOIN
-- makes the first question (https://sqlite.org/optoverview.html#manual_control_of_query_plans_using_cross_join).
SELECT facts.id, facts.person_id, facts.text, facts.created_at, facts.source_message_id, facts.assistant,
       facts.importance,
       facts.extracted
FROM (SELECT 1 FROM facts WHERE person_id = :person_id LIMIT 1)
CROSS JOIN facts_fts
CROSS JOIN facts ON facts.number = facts_fts.rowid
WHERE facts_fts MATCH '"' || replace(:words, ' ', '" OR "') || '"' AND facts.person_id = :person_id
ORDER BY bm25(facts_fts), facts.number DESC
LIMIT :limit

-- name: similar_facts
SELECT facts.id, facts.person_id, facts.text, facts.created_at, facts.source_message_id, facts.assistant,
       facts.importance,
       facts.extracted
FROM facts
WHERE facts.person_id = :person_id AND (
    facts.number IN (
        SELECT rowid FROM facts_similar_fts WHERE facts_similar_fts MATCH '"' || replace(:trigrams, ' ', '" OR "') || '"'
    ) OR EXISTS (
        SELECT 1 FROM json_each('["' || replace(:pairs, ' ', '","') || '"]') pair
        WHERE pair.value != '' AND instr(facts.text, pair.value)
    )
)
ORDER BY facts.number DESC
LIMIT :limit
