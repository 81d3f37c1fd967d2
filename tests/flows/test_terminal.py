"""`antiphon chat` as a person meets it: a real process in a real terminal, typed at and read from."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.attached import png
from tests.serving import SOURCE

ANTIPHON = (sys.executable, "-m", "antiphon")
DEADLINE = 20.0
PROMPT = "› "
CTRL_C, CTRL_D = "\x03", "\x04"
COLUMNS = 90
SENTENCE = (
    "Every word of this long answer is one token and it only exists to be streamed to as many readers as there are. "
)
_TOKENS = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()]?.|([^\x1b])", re.DOTALL)
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][0-9A-Z]|[=>])|[\x01\x02]")


def environment(**more: str) -> dict[str, str]:
    """A home without keys: the demo model answers."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {
        **kept,
        "ANTIPHON_DETECT_LOCAL_MODELS": "false",
        "ANTIPHON_DEFAULT_MODEL": "demo",
        "PYTHONPATH": str(SOURCE),
        "PYTHONUTF8": "1",
        "INPUTRC": os.devnull,
        "TERM": "xterm-256color",
        **more,
    }


def displayed(raw: str) -> list[str]:
    """The rows of a terminal that was sent `raw`, those that have scrolled away included."""
    rows, row, column = [""], 0, 0
    for number, command, char in _TOKENS.findall(raw):
        count = int(number) if number.isdigit() else 1
        if char == "\n" or (char >= " " and column == COLUMNS):
            row, column = row + 1, column if char == "\n" else 0
            rows += [""] * (row + 1 - len(rows))
        if char == "\r":
            column = 0
        elif char == "\b":
            column -= 1
        elif char >= " ":
            rows[row] = rows[row][:column].ljust(column) + char + rows[row][column + 1 :]
            column += 1
        elif command in {"A", "C", "D"}:
            row, column = row - count * (command == "A"), column + count * ((command == "C") - (command == "D"))
        elif command == "K":
            rows[row] = "" if number == "2" else rows[row][:column]
        elif command == "J":
            rows[row:] = [rows[row][:column]]
    return [each.rstrip() for each in rows]


class Server:
    """`antiphon serve` on a port that it keeps when it is started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [*ANTIPHON, "serve", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Typist:
    """A person at a terminal of 30 rows and 90 columns: types, and reads until what is expected has appeared."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.process_id, self._terminal = pty.fork()
        if not self.process_id:
            os.chdir(cwd)
            os.execve(sys.executable, [*ANTIPHON, "chat", *arguments], env or environment())  # noqa: S606
        self.resizes(30, COLUMNS)
        self.raw = ""
        self._read = 0
        self.status: int | None = None

    def resizes(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def sees(self, expected: str) -> str:
        """Reads on until `expected`, and returns what came before it since the last look."""
        deadline = time.monotonic() + DEADLINE
        while (found := self.screen.find(expected, self._read)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{expected!r} did not come. On the screen:\n{self.screen[self._read :]}"
            assert self._more(left), f"it ended without {expected!r}:\n{self.screen[self._read :]}"
        before, self._read = self.screen[self._read : found], found + len(expected)
        return before

    def asks(self, text: str) -> None:
        """Types a line at the prompt."""
        self.sees(PROMPT)
        self.types(text + "\r")

    @property
    def screen(self) -> str:
        """All that was written, without colours and movements."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def ends(self) -> int:
        """Waits for the process and returns its exit code."""
        while self._more(DEADLINE):
            pass
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.process_id, 0)[1])
            os.close(self._terminal)
        return self.status

    def close(self) -> None:
        if self.status is None:
            os.kill(self.process_id, signal.SIGKILL)
            self.ends()

    def _more(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # Linux says so when the other side has closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Server(tmp_path_factory.mktemp("house"), port)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def server(house: Server, tmp_path: Path) -> Server:
    """Others have talked to it before; each begins a conversation of its own."""
    (tmp_path / "server.log").symlink_to(house.folder / "server.log")  # what it logs is looked through each time
    return house


@pytest.fixture
def own_server(tmp_path: Path, free_port: int) -> Iterator[Server]:
    """One that the test may kill."""
    folder = tmp_path / "server"
    folder.mkdir()
    made = Server(folder, free_port)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Callable[..., Typist]]:
    people: list[Typist] = []

    def sit_down(*arguments: str, **options: dict[str, str]) -> Typist:
        people.append(Typist(*arguments, cwd=tmp_path, env=options.get("env")))
        return people[-1]

    yield sit_down
    for person in people:
        person.close()


def test_a_person_asks_sees_tokens_stops_and_asks_again(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.sees("guide answers with demo")
    person.sees("Ctrl-D leaves")
    person.asks("!slow 20 !long 5000")
    person.sees("Every word of this long")
    person.sees("it only exists to be")
    person.types(CTRL_C)
    person.sees("! Stopped.")
    person.sees("tokens")
    shown = " ".join(" ".join(displayed(person.raw)).split())
    answer = shown.partition("!long 5000 ")[2].partition(" ! Stopped.")[0]
    assert answer
    assert (SENTENCE * 300).startswith(answer)
    person.asks("What is 17*23?")
    person.sees("calculator")
    person.sees("391")
    person.sees("demo · ")
    person.asks("/quit")
    person.sees(f"antiphon chat --url {server.url} --conversation ")
    assert person.ends() == 0


def test_the_partial_answer_stands_on_the_screen_and_in_the_record(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.asks("!slow 20 !long 5000")
    person.sees("Every word of this")
    person.types(CTRL_C)
    person.sees("! Stopped.")
    person.asks("/quit")
    person.sees("--conversation ")
    assert person.ends() == 0
    conversation = person.screen.split("--conversation ")[-1].strip()
    later = chat("--url", server.url, "--conversation", conversation)
    later.sees("› !slow 20 !long 5000")
    later.sees("Every word of this")
    later.asks("What is 2+2?")
    later.sees("= 4")
    later.types(CTRL_D)
    assert later.ends() == 0


def test_a_server_that_dies_in_the_middle_of_an_answer(own_server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", own_server.url)
    person.asks("!slow 20 !long 5000")
    person.sees("it only exists to be")
    own_server.kill()
    person.sees("The connection to the server is lost.")
    own_server.start()
    person.sees("Connected again.")
    person.sees("! The server stopped while this was being answered.")
    person.asks("What is 6*7?")
    person.sees("= 42")
    person.asks("/quit")
    assert person.ends() == 0
    shown = "\n".join(displayed(person.raw))
    assert shown.count("! The server stopped") == 1
    answer = " ".join(shown.split()).partition("Connected again. ")[2].partition(" ! The server")[0]
    assert answer
    assert (SENTENCE * 300).startswith(answer)


def test_a_message_typed_while_the_server_is_away_is_answered_once(
    own_server: Server, chat: Callable[..., Typist]
) -> None:
    person = chat("--url", own_server.url)
    person.asks("What is 1+1?")
    person.sees("= 2")
    person.sees("tokens")
    person.sees(PROMPT)
    own_server.kill()
    person.sees("The connection to the server is lost.")
    person.types("What is 30+5?\r")
    own_server.start()
    person.sees("Connected again.")
    person.sees("= 35")
    person.asks("/quit")
    assert person.ends() == 0
    shown = "\n".join(displayed(person.raw))
    assert shown.count("= 35") == 1
    assert shown.count("› What is 30+5?") == 1
    assert "elsewhere" not in shown


@pytest.mark.parametrize("size", [(30, COLUMNS), (0, 0)], ids=["usual", "a serial line knows no size"])
def test_what_another_client_writes_shows_up_above_the_line_that_is_typed(
    server: Server, chat: Callable[..., Typist], size: tuple[int, int]
) -> None:
    first = chat("--url", server.url)
    first.asks("What is 1+1?")
    first.sees("tokens")
    first.asks("/quit")
    assert first.ends() == 0
    conversation = first.screen.split("--conversation ")[-1].strip()
    here, there = (chat("--url", server.url, "--conversation", conversation) for _ in range(2))
    here.resizes(*size)
    here.sees("tokens" if "tokens" in here.screen else "= 2")
    here.sees(PROMPT)
    here.types("What is ")
    there.asks("What is 5*5?")
    there.sees("= 25")
    here.sees("from elsewhere › What is 5*5?")
    here.sees("= 25")
    here.sees("› What is ")
    here.types("9*9?\r")
    here.sees("= 81")


def test_ctrl_c_at_the_prompt_hints_once_and_then_leaves(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.sees(PROMPT)
    person.types("half a line")
    person.sees("half a line")
    person.types(CTRL_C)
    person.sees(PROMPT)
    person.types(CTRL_C)
    person.sees("Ctrl-C again leaves")
    person.sees(PROMPT)
    person.types(CTRL_C)
    assert person.ends() == 0


def test_several_pasted_lines_are_one_message(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.sees(PROMPT)
    person.types("\x1b[200~!echo one\ntwo\nthree\x1b[201~\r")
    person.sees("demo · 3 tokens")
    person.asks("/quit")
    assert person.ends() == 0


def test_files_go_along_with_a_message(server: Server, chat: Callable[..., Typist], tmp_path: Path) -> None:
    (tmp_path / "my plan.png").write_bytes(png(12, 8))
    (tmp_path / "lie.png").write_text("no picture")
    person = chat("--url", server.url)
    person.sees("guide answers with demo")
    person.asks(f"/attach '{tmp_path}/my plan.png' What is it?")
    person.sees("12 x 8 pixels")
    person.asks(f"'{tmp_path}/my plan.png'")
    person.sees("12 x 8 pixels")
    person.asks(f"/attach {tmp_path}/lie.png")
    person.sees("its content is something else")
    person.asks(f"/attach {tmp_path}/gone.png")
    person.sees("No such file")
    person.asks("/quit")
    assert person.ends() == 0


def test_commands_and_refusals_are_told_apart(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.asks("/help")
    person.sees("╭")
    person.sees("/model")
    person.asks("/nope")
    person.sees("✗ There is no command /nope.")
    person.asks("!401")
    person.sees("✗ The demo model refused the key")
    person.asks("!cut 8 !long 50")
    person.sees("! The stream was cut")
    person.asks("/quit")
    assert person.ends() == 0


def test_a_newcomer_is_asked_before_something_is_forgotten(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.asks("Remember that my favourite colour is teal")
    person.sees("Remembered: my favourite colour is teal")
    person.asks("Forget that my favourite colour is teal")
    person.sees("May I use forget with this?")
    person.sees("my favourite colour is teal")
    person.asks("/approve")
    person.sees("Forgotten: my favourite colour is teal")
    person.asks("/quit")
    assert person.ends() == 0


def test_an_answer_cannot_drive_the_terminal(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.sees(PROMPT)
    person.types("!echo \x16\x1b]0;owned\x16\x07 done\r")  # Ctrl-V quotes the next key
    person.sees("demo · ")
    assert "\x1b]0;" not in person.raw
    assert "]0;owned" in person.screen


def test_a_long_answer_is_complete_though_higher_than_the_window(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url)
    person.sees(PROMPT)
    lines = "\n".join(f"- number {n} of many" for n in range(150))
    person.types(f"\x1b[200~!slow 0 !echo {lines}\x1b[201~\r")
    person.sees("demo · ")
    shown = displayed(person.raw)
    assert [row for row in shown if row.startswith("   • number ")] == [f"   • number {n} of many" for n in range(150)]


def test_in_process_with_the_same_database(tmp_path: Path, chat: Callable[..., Typist]) -> None:
    person = chat()
    person.sees("guide answers with demo")
    person.asks("Remember that my bicycle is blue")
    person.sees("tokens")
    person.asks("/quit")
    person.sees("Go on with: antiphon chat --conversation ")
    assert person.ends() == 0
    assert (tmp_path / "data" / "antiphon.db").exists()
    later = chat("--conversation", person.screen.split("--conversation ")[-1].strip())
    later.sees("› Remember that my bicycle is blue")
    later.sees(PROMPT)
    later.types(CTRL_D)
    assert later.ends() == 0


def test_without_colours(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url, env=environment(NO_COLOR="1"))
    person.asks("What is 3*3?")
    person.sees("= 9")
    person.sees("tokens")
    assert not re.search(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m", person.raw)


def test_a_dumb_terminal(server: Server, chat: Callable[..., Typist]) -> None:
    person = chat("--url", server.url, env=environment(TERM="dumb"))
    person.asks("What is 3*3?")
    person.sees("= 9")
    person.asks("/quit")
    assert person.ends() == 0
    assert "\x1b[" not in person.raw


# --- without a terminal -------------------------------------------------------------------------------------------


def piped(text: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*ANTIPHON, "chat", *arguments]
    return subprocess.run(command, input=text, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=40)


def test_a_pipe_gets_plain_answers(tmp_path: Path, server: Server) -> None:
    done = piped("What is 17*23?\n\n/status", "--url", server.url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "`17*23` = **391**\n" in done.stdout
    assert "**Assistant**: guide" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_pipe_in_process(tmp_path: Path) -> None:
    done = piped("What is 17*23?\n", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("`17*23` = **391**\n")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [("!401", "refused the key"), ("/nope", "There is no command /nope."), ("!cut 4 !long 9", "The stream was cut")],
)
def test_a_refused_answer_fails_the_pipe(tmp_path: Path, server: Server, message: str, sentence: str) -> None:
    done = piped(f"{message}\nhi\n", "--url", server.url, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("antiphon: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Hello" not in done.stdout


def test_a_server_that_cannot_be_reached_is_one_sentence(tmp_path: Path, free_port: int) -> None:
    done = piped("hi\n", "--url", f"http://127.0.0.1:{free_port}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("antiphon: cannot reach http://127.0.0.1:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--assistant", "There is no assistant called 'nobody'"),
        ("--conversation", "This conversation does not exist"),
    ],
)
def test_unknown_names_are_one_sentence(tmp_path: Path, server: Server, option: str, sentence: str) -> None:
    done = piped("hi\n", "--url", server.url, option, "nobody", cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
