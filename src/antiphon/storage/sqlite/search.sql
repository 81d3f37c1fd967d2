-- Full-text search of SQLite (FTS5), written by hand: no other database has it. See fulltext.py.

-- name: search_messages
SELECT conversations.id, conversations.title, messages.id, messages.role,
       highlight(messages_fts, 0, '«', '»'), messages.created_at, -bm25(messages_fts)
FROM messages_fts
JOIN messages ON messages.number = messages_fts.rowid
JOIN conversations ON conversations.id = messages.conversation_id
WHERE messages_fts MATCH :expression AND conversations.person_id = :person_id AND conversations.id != :exclude
ORDER BY bm25(messages_fts), messages.number DESC
LIMIT :limit

-- name: search_notes
SELECT notes.id, notes.person_id, notes.text, notes.source_message_id, notes.created_at
FROM notes_fts
JOIN notes ON notes.number = notes_fts.rowid
WHERE notes_fts MATCH :expression AND notes.person_id = :person_id
ORDER BY bm25(notes_fts), notes.number DESC
LIMIT :limit
