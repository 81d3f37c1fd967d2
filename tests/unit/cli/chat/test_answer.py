"""How an answer is laid out: finished pieces once, the rest within the window."""

import io

from rich.console import Console, RenderableType

from antiphon.cli.chat.answer import WIDEST, AnswerView
from antiphon.cli.chat.events import TurnNotice, TurnOver, TurnSaid, TurnTool


def shown(*pieces: RenderableType, width: int = 60, height: int = 12) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    for piece in pieces:
        console.print(piece)
    return out.getvalue().splitlines()


def live(view: AnswerView, width: int = 60, height: int = 12) -> list[str]:
    return shown(view.live(Console(width=width, height=height)), width=width, height=height)


def said(view: AnswerView, text: str = "", reasoning: str = "") -> None:
    view.say(TurnSaid(turn_id="t", text=text, reasoning=reasoning))


def call(status: str, arguments: str = '{"expression": "1+1"}', elapsed_ms: float | None = None) -> TurnTool:
    done = status != "running"
    return TurnTool(
        turn_id="t",
        call_id="c",
        name="calculator",
        arguments=arguments,
        status=status,
        result="2\n" * 40 if done else None,
        elapsed_ms=elapsed_ms,
    )


def test_what_is_finished_is_given_once_and_the_rest_is_live() -> None:
    view = AnswerView()
    said(view, "One.\n\nTw")
    assert shown(*view.finished()) == ["", "  One."]
    assert view.finished() == []
    assert "  Tw" in live(view)
    said(view, "o.")
    view.over(TurnOver(turn_id="t", status="answered", model="demo", tokens=1200, elapsed_ms=1500.0))
    assert shown(*view.finished()) == ["", "  Two.", "", "  demo · 1,200 tokens · 1.5 s"]


def test_the_live_part_never_outgrows_the_window() -> None:
    view = AnswerView()
    said(view, "| a |\n|---|\n" + "".join(f"| row {n} |\n" for n in range(2000)))
    rows = live(view)
    assert len(rows) <= 12
    assert any("row 1999" in row for row in rows)


def test_a_call_is_one_line_in_any_state() -> None:
    view = AnswerView()
    view.tool(call("running"))
    assert '  … calculator expression="1+1"' in live(view)
    view.tool(call("done", elapsed_ms=1234.0))
    assert len(live(view)) == 2
    (empty, line) = shown(*view.finished())
    assert empty == ""
    assert line.startswith('  ✓ calculator expression="1+1" · 1.2 s → 2 2 2')
    assert len(line) <= 60
    view.tool(call("failed", arguments="no JSON"))
    assert shown(*view.finished())[0].startswith("  ✗ calculator no JSON")


def test_thinking_is_one_line_when_it_is_over() -> None:
    view = AnswerView()
    said(view, reasoning="Let me think. " * 50)
    assert any(row.startswith("  ∴ ") for row in live(view))
    said(view, "Done.\n\n")
    empty, thought, *answer = shown(*view.finished())
    assert (empty, answer) == ("", ["", "  Done."])
    assert thought.startswith("  ∴ Let me think.")
    assert len(thought) <= 60


def test_notices_stand_behind_the_partial_text() -> None:
    view = AnswerView()
    said(view, "Half of")
    view.notice(TurnNotice(turn_id="t", text="Stopped."))
    assert shown(*view.finished()) == ["", "  Half of", "", "  ! Stopped."]


def test_code_in_pieces_keeps_its_empty_lines_and_wide_windows_stay_readable() -> None:
    view = AnswerView()
    code = [f"x = {n}" if n % 7 else "" for n in range(1, 120)]
    said(view, "```py\n" + "\n".join(code) + "\n```\n\n" + "word " * 80)
    view.over(TurnOver(turn_id="t", status="answered"))
    rows = shown(*view.finished(), width=200)
    assert [row.strip() for row in rows[1 : 1 + len(code)]] == code
    assert max(map(len, rows)) <= WIDEST
    assert all(row == row.rstrip() for row in rows)


def test_an_image_is_a_link_to_where_it_is() -> None:
    view = AnswerView("http://127.0.0.1:7777")
    said(view, "Here: ![a boat](/api/v1/files/01M7YTFAF3A5C20VBDC381VVAW) and ![x](https://there.example/x.png).\n\n")
    lines = " ".join(line.strip() for line in shown(*view.finished(), width=200))
    assert "a boat (http://127.0.0.1:7777/api/v1/files/01M7YTFAF3A5C20VBDC381VVAW)" in lines
    assert "x (https://there.example/x.png)" in lines
