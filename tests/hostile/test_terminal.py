"""The terminal before an output that takes nothing, and a server that takes next to nothing: one sentence, an end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import LONGEST, Served, environment

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_sentence(served: Served) -> None:
    served.start()
    with FULL.open("wb") as full:
        code, complaint = chat(served, "!echo hello\n", full)
    assert (code, complaint) == (1, "antiphon: The answer cannot be written: No space left on device.\n")


def test_a_reader_that_has_gone_is_no_reason_to_complain(served: Served) -> None:
    served.start()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        assert chat(served, "!echo hello\n", gone) == (1, "")


def test_a_message_the_server_has_no_room_for_is_not_sent_again_and_again(served: Served) -> None:
    served.variables["ANTIPHON_REALTIME__TRANSPORT__MAX_MESSAGE_BYTES"] = "1024"
    served.start()
    code, complaint = chat(served, f"!echo {'x' * 5000}\n")
    assert code == 1
    assert complaint == "antiphon: The server takes no message as long as this one. Send less at once.\n"
    assert served.log.count("realtime.broken_frame") == 1
    assert chat(served, "!echo short\n") == (0, "")


def chat(server: Served, typed: str, output: object = subprocess.DEVNULL) -> tuple[int, str]:
    """The exit code of a terminal that a pipe types into, and what it wrote on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "antiphon", "chat", "--url", server.url],
        cwd=server.folder,
        env=environment(server.folder),
        input=typed.encode(),
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        timeout=LONGEST,
    )
    return done.returncode, done.stderr.decode()
