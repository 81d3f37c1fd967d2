"""The statements of experiments and of what people say of answers."""

from sqlalchemy import select, text

from antiphon.storage.schema import assignments, feedback, messages, results
from antiphon.storage.sql.pieces import FIRST, ONE, InsertRow, number, text_of, word

ASSIGNMENT_OF = select(assignments.c.variant).where(
    assignments.c.experiment == text_of("experiment"), assignments.c.person_id == text_of("person_id")
)
ASSIGNMENT_KEEP = text(
    "INSERT INTO assignments (experiment, person_id, variant) VALUES (:experiment, :person_id, :variant) "
    "ON CONFLICT (experiment, person_id) DO NOTHING"
)
ASSIGNMENT_DROP = text(
    "DELETE FROM assignments WHERE experiment = :experiment AND person_id = :person_id AND variant = :variant"
)

RESULT_ADD = InsertRow(results)
RESULT_EXPERIMENTS = (
    select(results.c.experiment).distinct().order_by(results.c.experiment).limit(number("limit")).offset(FIRST)
)
# By person first: who has much to say must not count for many.
RESULT_TALLIES = text("""\
WITH of_person AS (
    SELECT results.variant, results.person_id, COUNT(*) AS turns,
        SUM(CASE WHEN results.outcome = 'answered' THEN 1 ELSE 0 END) AS answered,
        SUM(CASE WHEN results.outcome = 'refused' THEN 1 ELSE 0 END) AS refused,
        SUM(CASE WHEN results.outcome = 'interrupted' THEN 1 ELSE 0 END) AS interrupted,
        SUM(CASE WHEN feedback.verdict = 'up' THEN 1 ELSE 0 END) AS up,
        SUM(CASE WHEN feedback.verdict = 'down' THEN 1 ELSE 0 END) AS down,
        SUM(results.input_tokens) AS input_tokens, SUM(results.output_tokens) AS output_tokens,
        SUM(COALESCE(results.nanos, 0)) AS nanos, SUM(CASE WHEN results.nanos IS NULL THEN 1 ELSE 0 END) AS unpriced
    FROM results LEFT JOIN feedback ON feedback.turn_id = results.turn_id
    WHERE results.experiment = :experiment
    GROUP BY results.variant, results.person_id
)
SELECT variant, COUNT(*) AS people, SUM(turns), SUM(answered), SUM(refused), SUM(interrupted), SUM(up), SUM(down),
    SUM(CASE WHEN up + down > 0 THEN 1 ELSE 0 END), SUM(up * up), SUM(up * (up + down)),
    SUM((up + down) * (up + down)), SUM(input_tokens), SUM(output_tokens), SUM(nanos), SUM(unpriced)
FROM of_person GROUP BY variant ORDER BY variant""")
# The median is the middle one, or lies between the two in the middle.
RESULT_TIMES = text("""\
WITH ranked AS (
    SELECT variant, elapsed_ms, ROW_NUMBER() OVER (PARTITION BY variant ORDER BY elapsed_ms) AS place,
        COUNT(*) OVER (PARTITION BY variant) AS turns
    FROM results WHERE experiment = :experiment AND outcome = 'answered' AND elapsed_ms IS NOT NULL
)
SELECT variant, AVG(elapsed_ms), AVG(CASE WHEN place IN ((turns + 1) / 2, (turns + 2) / 2) THEN elapsed_ms END)
FROM ranked GROUP BY variant""")

FEEDBACK_PUT = text(
    "INSERT INTO feedback (turn_id, verdict, comment, given_at) "
    "SELECT turn_id, CAST(:verdict AS TEXT), CAST(:comment AS TEXT), CAST(:at AS BIGINT) FROM messages "
    "WHERE id = :message AND role = 'assistant' "
    "ON CONFLICT (turn_id) DO UPDATE SET verdict = excluded.verdict, comment = excluded.comment, "
    "given_at = excluded.given_at RETURNING turn_id"
)
FEEDBACK_DROP = text("DELETE FROM feedback WHERE turn_id = :turn_id")
FEEDBACK_OF = select(feedback.c.verdict, feedback.c.comment, feedback.c.given_at).where(
    feedback.c.turn_id == text_of("turn_id")
)
ANSWER_LATEST = (
    select(messages.c.id)
    .where(
        messages.c.conversation_id == text_of("conversation_id"),
        messages.c.ticket < number("before"),
        messages.c.role == word("assistant"),
    )
    .order_by(messages.c.ticket.desc(), messages.c.position.desc())
    .limit(ONE)
    .offset(FIRST)
)
