"""Files of cases: what is wrong is said by its line, before anything is asked."""

from pathlib import Path

import pytest

from antiphon.assistants.evals.cases import EvalCase, EvalMessage, read_cases, write_cases
from antiphon.assistants.evals.checks import Contains, Judge
from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage

SYSTEM = ChatMessage(role="system", text="Be brief.")


def written(folder: Path, *lines: str) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_case_is_called_by_its_line_and_expects_what_it_says(tmp_path: Path) -> None:
    path = written(tmp_path, '{"input": "2+2?", "expected": "4"}', "", '{"id": "b", "input": "Hi", "checks": []}')
    first, second = read_cases(path)
    assert (first.id, first.all_checks) == ("line 1", (Contains(value="4"),))
    assert (second.id, second.all_checks) == ("b", ())


def test_messages_come_before_the_question_and_may_instruct() -> None:
    said = (EvalMessage(role="user", content="I am Ann."), EvalMessage(role="assistant", content="Hello."))
    asked = EvalMessage(role="user", content="Who am I?")
    case = EvalCase(messages=(*said, asked))
    assert [message.text for message in case.prompt(SYSTEM)] == ["Be brief.", "I am Ann.", "Hello.", "Who am I?"]
    case = EvalCase(messages=(EvalMessage(role="system", content="Shout."), asked))
    assert [message.text for message in case.prompt(SYSTEM)] == ["Shout.", "Who am I?"]
    assert [message.text for message in EvalCase(input="Hi").prompt(SYSTEM)] == ["Be brief.", "Hi"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "JSON"),
        ("[1]", "Expected `object`"),
        ("{}", "either `input` or `messages`"),
        ('{"input": "a", "messages": [{"role": "user", "content": "b"}]}', "either `input` or `messages`"),
        ('{"input": "  "}', "the question is empty"),
        ('{"input": "a", "expectd": "b"}', "expectd"),
        ('{"messages": [{"role": "assistant", "content": "b"}]}', "with the role user"),
        ('{"messages": [{"role": "robot", "content": "b"}]}', "robot"),
        ('{"input": "a", "checks": [{"type": "contans", "value": "b"}]}', "a check has the type contains, "),
        ('{"input": "a", "checks": [{"type": "regex", "value": "("}]}', "is no regular expression"),
        ('{"input": "a", "checks": [{"type": "json_schema", "value": {"type": "thing"}}]}', "cannot be used"),
        ('{"input": "a", "checks": [{"type": "regex"}]}', "value"),
        ('{"input": "a", "checks": [{"type": "python", "value": "nothing:at_all"}]}', "cannot be loaded"),
        ('{"input": "a", "checks": [{"type": "python", "value": "math:pi"}]}', "is no function"),
        ('{"input": "\\ud800"}', "JSON"),
        ("[" * 5000, "line 2"),
        ('{"input": "a\u2028b"}x', "JSON"),
    ],
)
def test_a_wrong_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as caught:
        read_cases(written(tmp_path, '{"input": "fine"}', line))
    assert "line 2: " in str(caught.value)
    assert said in str(caught.value)


def test_a_few_of_many_wrong_lines_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"line 5: .*\nand 7 more"):
        read_cases(written(tmp_path, *(["{}"] * 12)))
    with pytest.raises(ValidationError, match="the id 'a' is there already"):
        read_cases(written(tmp_path, *(['{"id": "a", "input": "b"}'] * 2)))


def test_a_file_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="holds no case"):
        read_cases(written(tmp_path, "", "  "))
    with pytest.raises(ValidationError, match="cannot be read"):
        read_cases(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ValidationError, match="cannot be read"):
        read_cases(tmp_path / "bytes")


def test_what_is_written_is_read_again_and_nothing_is_written_over(tmp_path: Path) -> None:
    cases = [EvalCase(id="a", input="b", checks=(Judge(value="It is."),)), EvalCase(id="c", input="d", expected="é\n")]
    path = tmp_path / "new.jsonl"
    assert write_cases(path, cases) == 2
    assert read_cases(path) == cases
    with pytest.raises(ValidationError, match="cannot be written"):
        write_cases(path, cases)
