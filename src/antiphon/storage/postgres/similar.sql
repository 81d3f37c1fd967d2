-- The same where pg_trgm is there: when no word is found, those of the person's own words are that look like one
-- (a slip of the pen, a part of a longer word). 0.4 finds "lighthouse" for "light" and leaves "nothing" for "not" out.
-- No index is kept for it: the words are collected from the person's newest texts when they are needed.

-- name: search_messages
-- parameters: person_id words exclude limit
WITH exact AS MATERIALIZED (
    SELECT FROM messages JOIN conversations ON conversations.id = messages.conversation_id
    WHERE conversations.person_id = $1 AND conversations.id != $3 AND messages.found @@ antiphon_query($2)
    LIMIT 1
), similar_words AS MATERIALIZED (
    SELECT string_agg(DISTINCT known.word, ' ') AS words
    FROM ts_stat(format(
        'SELECT messages.found FROM messages JOIN conversations ON conversations.id = messages.conversation_id '
        'WHERE conversations.person_id = %L AND messages.found IS NOT NULL ORDER BY messages.number DESC LIMIT 2000', $1::text
    )) known, unnest(string_to_array($2::text, ' ')) wanted
    WHERE similarity(known.word, wanted) >= 0.4
), wanted AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM exact) THEN $2::text ELSE (SELECT words FROM similar_words) END AS words
)
SELECT conversations.id, conversations.title, messages.id, messages.role,
       messages.text, messages.created_at, ts_rank(messages.found, antiphon_query(wanted.words), 1)::float8, wanted.words
FROM wanted
JOIN messages ON messages.found @@ antiphon_query(wanted.words)
JOIN conversations ON conversations.id = messages.conversation_id
WHERE conversations.person_id = $1 AND conversations.id != $3
ORDER BY 7 DESC, messages.number DESC
LIMIT $4
