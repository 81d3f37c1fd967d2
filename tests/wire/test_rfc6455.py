"""RFC 6455 by the case list of the Autobahn test suite, groups 1 to 7, 9 and 10, over a raw connection.

The numbers are Autobahn's. Where its outcome may be strict or not, ours is written down here: text that can no longer
become UTF-8 is refused at the end of the frame that spoils it, also of a fragment (6.4.1, 6.4.2), not in the middle of
one (6.4.3, 6.4.4): a frame is looked at when it is whole. Sizes and rounds of group 9 are bounded by what a test may
cost.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from antiphon.realtime.transports import frames
from tests.echoing import echoing
from tests.raw_frames import RawClient, client_frame
from tests.rules import rule

LIMIT = 4 * 1024 * 1024

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
OPEN, OPEN_BINARY, MORE, LAST = 0x01, 0x02, 0x00, 0x80
"""The first bytes of the fragments of a message."""

Frame = tuple[int, bytes]
BYE: Frame = (CLOSE, (1000).to_bytes(2, "big"))

AT_ONCE, BY_FRAME, BY_OCTET = "at once", "frame by frame", "octet by octet"


@dataclass(frozen=True)
class Case:
    """What is sent, in front of an orderly close, and what comes back, in front of the close with `code`."""

    number: str
    sent: list[Frame]
    answers: list[Frame]
    code: int = 1000
    way: str = AT_ONCE
    chop: int = 0

    def __str__(self) -> str:
        return self.number


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """What is read in which pieces differs between event loops, and both are used."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with echoing(max_message_bytes=LIMIT, close_seconds=1.0) as port:
        yield port


async def play(port: int, case: Case) -> None:
    client = await RawClient.connect(port)
    try:
        pieces = [client_frame(first, payload) for first, payload in [*case.sent, BYE]]
        if case.way == AT_ONCE:
            await client.send(b"".join(pieces), case.chop)
        else:
            for piece in pieces:
                await client.send(piece, 1 if case.way == BY_OCTET else len(piece))
        assert await client.frames() == (case.answers, case.code)
    finally:
        client.abort()


# --- 1 framing, 2 pings, 3 reserved bits, 4 opcodes ---------------------------------------------------------------


def framing() -> Iterator[Case]:
    for group, first, letter in (("1.1", TEXT, b"*"), ("1.2", BINARY, b"\xfe")):
        for index, size in enumerate((0, 125, 126, 127, 128, 65_535, 65_536, 65_536), 1):
            message = [(first, letter * size)]
            yield Case(f"{group}.{index}", message, message, chop=997 if index == 8 else 0)


MANY_PINGS = [(PING, b"payload-%d" % number) for number in range(10)]
MANY_PONGS = [(PONG, payload) for _, payload in MANY_PINGS]

PINGS = [
    Case("2.1", [(PING, b"")], [(PONG, b"")]),
    Case("2.2", [(PING, b"Hello, world!")], [(PONG, b"Hello, world!")]),
    Case("2.3", [(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], [(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")]),
    Case("2.4", [(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)]),
    Case("2.5", [(PING, b"\xfe" * 126)], [], 1002),
    Case("2.6", [(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)], way=BY_OCTET),
    Case("2.7", [(PONG, b"")], []),
    Case("2.8", [(PONG, b"unsolicited pong payload")], []),
    Case("2.9", [(PONG, b"unsolicited"), (PING, b"ping payload")], [(PONG, b"ping payload")]),
    Case("2.10", MANY_PINGS, MANY_PONGS),
    Case("2.11", MANY_PINGS, MANY_PONGS, way=BY_OCTET),
]

HELLO = (TEXT, b"Hello, world!")

RESERVED = [
    Case("3.1", [(0x90 | TEXT, b"Hello, world!")], [], 1002),
    Case("3.2", [HELLO, (0xA0 | TEXT, b"Hello, world!"), (PING, b"")], [HELLO], 1002),
    Case("3.3", [HELLO, (0xB0 | TEXT, b"Hello, world!"), (PING, b"")], [HELLO], 1002, way=BY_FRAME),
    Case("3.4", [HELLO, (0xC0 | TEXT, b"Hello, world!"), (PING, b"")], [HELLO], 1002, way=BY_OCTET),
    Case("3.5", [(0xD0 | BINARY, b"\x00\xff" * 4)], [], 1002),
    Case("3.6", [(0xE0 | PING, b"Hello, world!")], [], 1002),
    Case("3.7", [(0xF0 | CLOSE, b"")], [], 1002),
]

OPCODES = [
    Case("4.1.1", [(0x83, b"")], [], 1002),
    Case("4.1.2", [(0x84, b"reserved opcode payload")], [], 1002),
    Case("4.1.3", [HELLO, (0x85, b""), (PING, b"")], [HELLO], 1002),
    Case("4.1.4", [HELLO, (0x86, b"payload"), (PING, b"")], [HELLO], 1002),
    Case("4.1.5", [HELLO, (0x87, b"payload"), (PING, b"")], [HELLO], 1002, way=BY_OCTET),
    Case("4.2.1", [(0x8B, b"")], [], 1002),
    Case("4.2.2", [(0x8C, b"reserved opcode payload")], [], 1002),
    Case("4.2.3", [HELLO, (0x8D, b""), (PING, b"")], [HELLO], 1002),
    Case("4.2.4", [HELLO, (0x8E, b"payload"), (PING, b"")], [HELLO], 1002),
    Case("4.2.5", [HELLO, (0x8F, b"payload"), (PING, b"")], [HELLO], 1002, way=BY_OCTET),
]


@rule("DC-7")
@pytest.mark.parametrize("case", [*framing(), *RESERVED, *OPCODES], ids=str)
async def test_framing(port: int, case: Case) -> None:
    await play(port, case)


@rule("HB-5")
@pytest.mark.parametrize("case", PINGS, ids=str)
async def test_pings(port: int, case: Case) -> None:
    await play(port, case)


# --- 5 fragmentation ----------------------------------------------------------------------------------------------

HALVES = [(OPEN, b"fragment1"), (LAST, b"fragment2")]
PINGED = [HALVES[0], (PING, b"ping payload"), HALVES[1]]
WHOLE = (TEXT, b"fragment1fragment2")
NOTHING_TO_END, NOTHING_TO_GO_ON = (LAST, b"non-continuation payload"), (MORE, b"non-continuation payload")
WAYS = (AT_ONCE, BY_FRAME, BY_OCTET)


def fragmentation() -> Iterator[Case]:
    yield Case("5.1", [(PING & 0x7F, b"fragment1"), (LAST, b"fragment2")], [], 1002)
    yield Case("5.2", [(PONG & 0x7F, b"fragment1"), (LAST, b"fragment2")], [], 1002)
    for number, way in enumerate(WAYS):
        yield Case(f"5.{3 + number}", HALVES, [WHOLE], way=way)
        yield Case(f"5.{6 + number}", PINGED, [(PONG, b"ping payload"), WHOLE], way=way)
        yield Case(f"5.{9 + number}", [NOTHING_TO_END, HELLO], [], 1002, way=way)
        yield Case(f"5.{12 + number}", [NOTHING_TO_GO_ON, HELLO], [], 1002, way=way)
    yield Case("5.15", [*HALVES, NOTHING_TO_GO_ON, HELLO], [WHOLE], 1002)
    yield Case("5.16", [NOTHING_TO_GO_ON, *HALVES] * 2, [], 1002)
    yield Case("5.17", [NOTHING_TO_END, *HALVES] * 2, [], 1002)
    yield Case("5.18", [(OPEN, b"fragment1"), (TEXT, b"fragment2")], [], 1002)


@rule("DC-7")
@pytest.mark.parametrize("case", list(fragmentation()), ids=str)
async def test_fragmentation(port: int, case: Case) -> None:
    await play(port, case)


@pytest.mark.parametrize("chop", [pytest.param(0, id="5.19"), pytest.param(1, id="5.20")])
async def test_a_ping_is_answered_before_the_message_around_it_has_ended(port: int, chop: int) -> None:
    client = await RawClient.connect(port)
    await client.send(client_frame(OPEN, b"1") + client_frame(MORE, b"2") + client_frame(PING, b"first"), chop)
    assert await client.frame() == (PONG, b"first")
    await client.send(client_frame(MORE, b"3") + client_frame(MORE, b"4") + client_frame(PING, b"second"), chop)
    assert await client.frame() == (PONG, b"second")
    await client.send(client_frame(LAST, b"5") + client_frame(*BYE), chop)
    assert await client.frames() == ([(TEXT, b"12345")], 1000)
    client.abort()


# --- 6 UTF-8 ------------------------------------------------------------------------------------------------------

GREEK = "κ\u1f79σμε".encode()
LETTERS = "Hello-µ@ßöäüàá-UTF-8!!".encode()


def fragments(payload: bytes, size: int, first: int = OPEN) -> list[Frame]:
    """One message in fragments of `size` bytes."""
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    heads = [first, *([MORE] * (len(parts) - 1))]
    heads[-1] |= LAST
    return list(zip(heads, parts, strict=True))


def in_frames() -> Iterator[Case]:
    yield Case("6.1.1", [(TEXT, b"")], [(TEXT, b"")])
    # DC-7 knows 1008 for an empty fragment in the middle. It costs us nothing, and RFC 6455 allows it.
    yield Case("6.1.2", [(OPEN, b""), (MORE, b""), (LAST, b"")], [(TEXT, b"")])
    yield Case("6.1.3", [(OPEN, b""), (MORE, b"middle frame payload"), (LAST, b"")], [(TEXT, b"middle frame payload")])
    yield Case("6.2.1", [(TEXT, LETTERS)], [(TEXT, LETTERS)])
    yield Case("6.2.2", [(OPEN, LETTERS[:12]), (LAST, LETTERS[12:])], [(TEXT, LETTERS)])
    yield Case("6.2.3", fragments(LETTERS, 1), [(TEXT, LETTERS)])
    yield Case("6.2.4", fragments(GREEK, 1), [(TEXT, GREEK)])
    spoiled = GREEK + b"\xed\xa0\x80edited"
    yield Case("6.3.1", [(TEXT, spoiled)], [], 1007)
    yield Case("6.3.2", fragments(spoiled, 1), [], 1007)


BEYOND = b"\xf4\x90\x80\x80"
"""0x110000, which would be the character behind the last one."""

INCOMPLETE = [
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
    b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf",
]  # fmt: skip
NO_CHARACTERS = [chr(plane << 16 | 0xFFFE | low).encode() for plane in range(17) for low in (0, 1)]
LONELY = [(0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE)]
HALF_PAIRS = ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"]
HIGH, LOW = ("eda080", "edadbf", "edae80", "edafbf"), ("edb080", "edbfbf")
VALID, INVALID = True, False

SEQUENCES: list[tuple[bool, list[bytes]]] = [
    (VALID, [b"hello\x24world", "hello¢world".encode(), "hello€world".encode(), "hello𤭢world".encode(), GREEK]),
    (VALID, [GREEK[:length] for length in range(1, 12)]),  # those that end inside a character are none
    (VALID, [chr(code).encode() for code in (0, 0x80, 0x800, 0x10000)]),
    (INVALID, [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
    (VALID, [chr(code).encode() for code in (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)]),
    (INVALID, [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"]),
    (VALID, [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", BEYOND]),
    (INVALID, [b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:length] for length in range(2, 7)), bytes(range(0x80, 0xC0))]),
    (INVALID, [b"".join(bytes((start, 0x20)) for start in range(*ends)) for ends in LONELY]),
    (INVALID, INCOMPLETE),
    (INVALID, [b"".join(INCOMPLETE)]),
    (INVALID, [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    (INVALID, [bytes.fromhex(text) for text in ("c0af", "e080af", "f08080af", "f8808080af", "fc80808080af")]),
    (INVALID, [bytes.fromhex(text) for text in ("c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf")]),
    (INVALID, [bytes.fromhex(text) for text in ("c080", "e08080", "f0808080", "f880808080", "fc8080808080")]),
    (INVALID, [bytes.fromhex(text) for text in HALF_PAIRS]),
    (INVALID, [bytes.fromhex(high + low) for high in HIGH for low in LOW]),
    (VALID, NO_CHARACTERS),
    (VALID, [chr(code).encode() for code in range(0xFFF9, 0x10000)]),
]
"""What each of 6.5 to 6.23 sends."""

SPOILED = {BEYOND, *(GREEK[:length] for length in (1, 3, 4, 6, 8, 10))}
"""What is no UTF-8 among the valid."""


def sequences() -> Iterator[Case]:
    for group, (valid, payloads) in enumerate(SEQUENCES, 5):
        for index, payload in enumerate(payloads, 1):
            message = (TEXT, payload)
            if valid and payload not in SPOILED:
                yield Case(f"6.{group}.{index}", [message], [message])
            else:
                yield Case(f"6.{group}.{index}", [message], [], 1007)


@rule("V2-6", "DC-7")
@pytest.mark.parametrize("case", [*in_frames(), *sequences()], ids=str)
async def test_utf_8(port: int, case: Case) -> None:
    await play(port, case)


@rule("V2-6")
@pytest.mark.parametrize("spoiling", [pytest.param(BEYOND, id="6.4.1"), pytest.param(BEYOND[:2], id="6.4.2")])
async def test_text_is_refused_with_the_fragment_that_spoils_it(port: int, spoiling: bytes) -> None:
    client = await RawClient.connect(port)
    await client.send(client_frame(OPEN, GREEK) + client_frame(MORE, spoiling))
    assert await client.frames() == ([], 1007)
    client.abort()


@rule("V2-6")
@pytest.mark.parametrize("at", [pytest.param(len(BEYOND), id="6.4.3"), pytest.param(2, id="6.4.4")])
async def test_text_in_one_frame_is_refused_with_its_end(port: int, at: int) -> None:
    client = await RawClient.connect(port)
    data = client_frame(TEXT, GREEK + BEYOND + b"edited")
    spoiled = len(data) - len(BEYOND + b"edited") + at
    await client.send(data[:spoiled])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.frame()
    await client.send(data[spoiled:])
    assert await client.frames() == ([], 1007)
    client.abort()


# --- 7 closing ----------------------------------------------------------------------------------------------------


def closed_with(code: int, reason: bytes = b"") -> Frame:
    return (CLOSE, code.to_bytes(2, "big") + reason)


LARGE = (TEXT, b"BAsd7&jh23" * 26_214)

CLOSINGS = [
    Case("7.1.1", [HELLO], [HELLO]),
    Case("7.1.2", [BYE], []),
    Case("7.1.3", [BYE, (PING, b"")], []),
    Case("7.1.4", [BYE, HELLO], []),
    Case("7.1.5", [HALVES[0], BYE, HALVES[1]], []),
    Case("7.1.6", [LARGE, HELLO, BYE, (PING, b"")], [LARGE, HELLO]),
    Case("7.3.1", [(CLOSE, b"")], []),
    Case("7.3.2", [(CLOSE, b"a")], [], 1002),
    Case("7.3.3", [closed_with(1000)], []),
    Case("7.3.4", [closed_with(1000, b"Hello World!")], []),
    Case("7.3.5", [closed_with(1000, b"*" * 123)], []),
    Case("7.3.6", [closed_with(1000, b"*" * 124)], [], 1002),
    Case("7.5.1", [closed_with(1000, GREEK + BEYOND + b"edited")], [], 1007),
    Case("7.13.1", [closed_with(5000)], [], 1002),
    Case("7.13.2", [closed_with(65_535)], [], 1002),
]
GOOD = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
BAD = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 1012, 1013, 1014, 1015)
"""The last four are not Autobahn's; they are registered by now, and DC-8 leaves them out."""


def codes() -> Iterator[Case]:
    for index, code in enumerate(GOOD, 1):
        yield Case(f"7.7.{index}", [closed_with(code)], [])
    for index, code in enumerate(BAD, 1):
        yield Case(f"7.9.{index}", [closed_with(code)], [], 1002)


@rule("DC-7", "DC-8")
@pytest.mark.parametrize("case", [*CLOSINGS, *codes()], ids=str)
async def test_closing(port: int, case: Case) -> None:
    await play(port, case)


# --- 9 limits, 10 automatic fragmentation -------------------------------------------------------------------------

KIB = 1024
SIZES = (64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB)
FRAGMENTS = (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB)
CHOPS = (64, 128, 256, 512, 1024, 2048)


def limits() -> Iterator[Case]:
    for number, first, letter in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for index, size in enumerate(SIZES, 1):
            yield Case(f"9.{number}.{index}", [(first, letter * size)], [(first, letter * size)])
        for index, size in enumerate(FRAGMENTS, 1):
            payload = letter * 1024 * KIB
            sent = fragments(payload, size, OPEN if first == TEXT else OPEN_BINARY)
            yield Case(f"9.{number + 2}.{index}", sent, [(first, payload)])
        for index, size in enumerate(CHOPS, 1):
            message = [(first, letter * 256 * KIB)]
            yield Case(f"9.{number + 4}.{index}", message, message, chop=size)
    yield Case("10.1.1", fragments(b"*" * 65_536, 1300), [(TEXT, b"*" * 65_536)])


@rule("LM-1")
@pytest.mark.parametrize("case", list(limits()), ids=str)
async def test_limits(port: int, case: Case) -> None:
    await play(port, case)


ROUNDS = [
    pytest.param(first, size, id=f"{group}.{index}")
    for group, first in (("9.7", TEXT), ("9.8", BINARY))
    for index, size in enumerate((0, 16, 64, 256, KIB, 4 * KIB), 1)
]


@pytest.mark.parametrize(("first", "size"), ROUNDS)
async def test_many_rounds(port: int, first: int, size: int) -> None:
    client = await RawClient.connect(port)
    for _ in range(100):
        await client.send(client_frame(first, b"x" * size))
        assert await client.frame() == (first, b"x" * size)
    client.abort()


@rule("LM-1", "DC-7")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([(BINARY, bytes(LIMIT + 1))], id="in one frame"),
        pytest.param(fragments(bytes(LIMIT + 1), 1024 * KIB, OPEN_BINARY), id="in fragments"),
    ],
)
async def test_more_than_the_limit(port: int, sent: list[Frame]) -> None:
    await play(port, Case("9.9", sent, [], frames.TOO_BIG))


@rule("DC-7")
@pytest.mark.parametrize("first", [TEXT, BINARY, PING, CLOSE])
async def test_frames_that_are_not_masked(port: int, first: int) -> None:
    """No case of Autobahn's: RFC 6455, section 5.1."""
    client = await RawClient.connect(port)
    await client.send(client_frame(first, b"", masked=False))
    assert await client.frames() == ([], 1002)
    client.abort()
