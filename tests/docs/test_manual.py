"""What people ask the assistant about the house leads to the section that answers it, with its command or its setting.

Asked as the demo model asks: by the words of the question, which is the least that any model does.
"""

from pathlib import Path

import msgspec
import pytest

from antiphon.providers.demo.evidence import Excerpt, best, passages, quote
from antiphon.providers.demo.words import content_words
from antiphon.search.manual import Manual

QUESTIONS = (
    ("How do I use PostgreSQL?", "databases.md", "`database.url`"),
    ("How do I connect PostgreSQL?", "databases.md", "antiphon[postgres]"),
    ("How do I migrate the database?", "databases.md", "antiphon migrate"),
    ("How do I back up my data?", "databases.md", ".backup"),
    ("How do I restore a backup?", "databases.md", "pg_restore"),
    ("What happens when PostgreSQL is down?", "databases.md", "refused with a sentence"),
    ("Can I run two processes?", "databases.md", "only one answers"),
    ("How do I use Redis?", "caching.md", "`redis.url`"),
    ("What happens when Redis is gone?", "caching.md", "Conversations go on"),
    ("How do I cache a function?", "caching.md", "@cache_result"),
    ("How do I configure it?", "configuration.md", "antiphon.yaml"),
    ("Where do I put my API key?", "configuration.md", "`.env`"),
    ("How do I use feature flags?", "configuration.md", "`features`"),
    ("How do I reload settings without a restart?", "configuration.md", "SIGHUP"),
    ("How do I start a new project?", "getting-started.md", "`antiphon init`"),
    ("How do I change the port?", "getting-started.md", "`PORT`"),
    ("What is antiphon doctor?", "operations.md", "says in each line what to do"),
    ("How do I run it in production?", "operations.md", "supervisor"),
    ("How do I upgrade to a new version?", "operations.md", "Back up, stop"),
    ("What happens when the server crashes?", "operations.md", "never a question"),
    ("What happens when the disk is full?", "operations.md", "refused with a sentence"),
    ("Why is it slow?", "operations.md", "/health/deep"),
    ("Which metrics should I alert on?", "monitoring.md", "`antiphon_turns_waiting`"),
    ("How do I check the health?", "monitoring.md", "`GET /ready`"),
    ("How do I change the log level?", "monitoring.md", "`log_level`"),
    ("How do I profile my code?", "monitoring.md", "`PerformanceProfiler`"),
    ("How do I add a metric of my own?", "python.md", "get_metrics()"),
    ("How do I register a service?", "services.md", "`ServiceContainer`"),
    ("How do I retry a failed call?", "services.md", "`ErrorHandler`"),
    ("How do I run something in the background?", "services.md", "`AsyncProcessor`"),
)


@pytest.fixture(scope="module")
def manual(root: Path) -> Manual:
    """The guides as they are now; what a build has put into the package may be older."""
    return Manual(root / "docs" / "guides")


def answered(manual: Manual, question: str) -> tuple[str, str]:
    """The page that the demo model quotes, and what it shows of it."""
    topic = " ".join(content_words(question))
    found = [{"title": each.title, "text": each.text, "source": each.path} for each in manual.search(topic, 4)]
    top: Excerpt = best(topic, passages(msgspec.json.encode(found).decode()), strict=True)[0]
    return Path(top.source).name, "\n".join([*quote(topic, top), top.code or top.table or ""])


@pytest.mark.parametrize(("question", "page", "tells"), QUESTIONS, ids=[question for question, *_ in QUESTIONS])
def test_the_answer_is_found(manual: Manual, question: str, page: str, tells: str) -> None:
    found, said = answered(manual, question)
    assert found == page
    assert tells in said


def test_no_two_sections_ask_the_same(manual: Manual) -> None:
    """One home for each subject: a heading is nowhere twice."""
    headings = [each.title.rpartition("›")[2].strip() for each in manual.sections if "›" in each.title]
    assert sorted({heading for heading in headings if headings.count(heading) > 1}) == []
