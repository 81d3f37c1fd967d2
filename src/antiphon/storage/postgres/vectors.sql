-- Vectors compared by pgvector, written by hand: no other database has it. `<#>` is the negative inner product; rounded, so
-- that the order of what is equally near does not hang on how a processor adds. What is not settled yet has NULL and
-- comes first. pgvector holds 16,000 dimensions.

-- name: vector_nearest
-- parameters: person_id model dimension vector limit
SELECT facts.id, facts.person_id, facts.text, facts.created_at, facts.source_message_id, facts.assistant,
       facts.importance, round(-100000 * (embeddings.embedding <#> $4::text::vector)) / 100000
FROM facts
JOIN vectors ON vectors.number = facts.number
LEFT JOIN embeddings ON embeddings.number = vectors.number
WHERE facts.person_id = $1 AND vectors.model = $2 AND vectors.dimension = $3
ORDER BY 8 DESC NULLS FIRST, facts.number DESC
LIMIT $5

-- name: vector_unsettled
-- parameters: limit
SELECT vectors.number, vectors.made_at, vectors.vector
FROM vectors
LEFT JOIN embeddings ON embeddings.number = vectors.number
WHERE embeddings.number IS NULL AND vectors.dimension BETWEEN 1 AND 16000
ORDER BY vectors.number DESC
LIMIT $1

-- name: vector_settle
-- parameters: numbers made_ats embeddings
INSERT INTO embeddings (number, embedding)
SELECT vectors.number, given.embedding::vector
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS given (number, made_at, embedding)
JOIN vectors ON vectors.number = given.number AND vectors.made_at = given.made_at
ORDER BY vectors.number
FOR KEY SHARE OF vectors
ON CONFLICT DO NOTHING
