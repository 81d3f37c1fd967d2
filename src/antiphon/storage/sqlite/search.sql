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

-- name: search_notes
SELECT notes.id, notes.person_id, notes.text, notes.source_message_id, notes.created_at
FROM notes_fts
JOIN notes ON notes.number = notes_fts.rowid
WHERE notes_fts MATCH '"' || replace(:words, ' ', '" OR "') || '"' AND notes.person_id = :person_id
ORDER BY bm25(notes_fts), notes.number DESC
LIMIT :limit
