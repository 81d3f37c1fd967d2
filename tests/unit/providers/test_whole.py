"""Answers that nobody watches: whole, or not at all."""

from collections.abc import AsyncGenerator

import pytest

from antiphon.domain import Usage
from antiphon.errors import ProviderError
from antiphon.providers.base import ChatMessage, Error, Event, Finish, ModelRequest, TextDelta, UsageReport
from antiphon.providers.whole import whole_text
from antiphon.testing.models import ScriptedModel

REQUEST = ModelRequest(model="m", messages=(ChatMessage(role="user", text="Hello"),))
SPENT = Usage(input_tokens=3, output_tokens=1)


async def test_all_pieces_and_what_they_cost() -> None:
    spent: list[Usage] = []
    model = ScriptedModel().plays(TextDelta("One, "), UsageReport(SPENT), TextDelta("two."), Finish("stop"))
    assert await whole_text(model, REQUEST, spent.append) == "One, two."
    assert spent == [SPENT]


async def test_half_an_answer_is_none_and_its_stream_is_closed() -> None:
    closed = []

    class Broken(ScriptedModel):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
            try:
                yield TextDelta("One, ")
                yield Error("interrupted", "cut", "It was cut.")
            finally:
                closed.append(request)

    with pytest.raises(ProviderError, match="cut") as raised:
        await whole_text(Broken(), REQUEST)
    assert (raised.value.kind, raised.value.public, closed) == ("interrupted", "It was cut.", [REQUEST])
