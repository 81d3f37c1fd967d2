"""How much each model takes: its window, how many bytes of text make one of its tokens, and what files are to it.

Nothing is fetched for it and no vocabulary is loaded. What a vendor's list says of a model counts before what is known
of its family; what the vendor reports or refuses corrects both. A process learns anew: one answer is enough.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf
from time import monotonic
from types import MappingProxyType
from typing import TypeVar

from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.estimate import BYTES_PER_TOKEN, tokens
from antiphon.domain import Usage
from antiphon.providers.base import Excess

FAMILIES: Mapping[str, int] = MappingProxyType(
    {
        "gpt-3.5": 16_385,
        "gpt-4": 8_192,
        "gpt-4-turbo": 128_000,
        "gpt-4o": 128_000,
        "gpt-4.1": 1_000_000,
        "gpt-5": 272_000,
        "gpt-oss": 128_000,
        "o1": 128_000,
        "o3": 200_000,
        "o4": 200_000,
        "claude": 200_000,
        "gemini": 1_000_000,
        "grok": 128_000,
        "deepseek": 64_000,
        "mistral": 32_000,
        "mixtral": 32_000,
        "command-r": 128_000,
        "llama-2": 4_096,
        "llama2": 4_096,
        "llama-3": 8_192,
        "llama3": 8_192,
        "llama-3.1": 128_000,
        "llama3.1": 128_000,
        "llama-3.2": 128_000,
        "llama3.2": 128_000,
        "llama-3.3": 128_000,
        "llama3.3": 128_000,
        "qwen": 32_000,
        "gemma": 8_192,
        "gemma-3": 32_000,
        "gemma3": 32_000,
        "phi": 4_096,
        "phi-4": 16_000,
        "phi4": 16_000,
    }
)
"""Windows in tokens by the longest beginning of a model's own name; of a family the smallest that is served."""

ANSWER = 2_048
"""Tokens that are left to an answer for which nobody set a limit; of small windows a quarter."""

MARGIN = 0.95
"""Of a window that is not known to the token: what is used of it."""

LEAST, MOST = 1.0, 8.0
"""Bytes of a token, whatever a vendor reports: a report that says otherwise counts something else."""

FILES = 0.5
"""Of what the window has left: what the text leaves to files, at most."""

LIGHTEST, HEAVIEST = 0.1, 20.0
"""What a file may be beside its estimate, whatever a vendor reports."""

TELLING = 2_000
"""Bytes of a request from which on its report tells something about text, and not about the vendor's own words."""

NEW = 0.25
"""What a report counts beside those before it."""

KNOWN = 1_000
"""Models of which something is kept; people may name any."""

UNTOLD = 0.75
"""Of a prompt that was refused without a number: what is taken to be the window."""

HELD = 3_600.0
"""Seconds that a refusal holds; then the window is asked for again as it was said to be."""

Known = TypeVar("Known")


class Windows:
    """What models take, by their full names (`provider:model`). `told` is what a vendor's list says of a window."""

    def __init__(
        self,
        settings: AssistantSettings,
        told: Callable[[str], int | None] = lambda _: None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._told = told
        self._clock = clock
        self._bytes: dict[str, float] = {}
        self._files: dict[str, float] = {}
        self._refused: dict[str, tuple[int, float]] = {}

    @property
    def most(self) -> float:
        """The bytes that no prompt exceeds, whoever answers."""
        return MOST * max([self._settings.context_tokens, *self._settings.model_context_tokens.values()])

    def window(self, model: str) -> int | None:
        """The tokens of its prompt and its answer together, None when nobody knows."""
        known = self._settings.model_context_tokens.get(model) or self._told(model) or _family(model)
        refused, until = self._refused.get(model, (0, 0.0))
        if self._clock() >= until:
            return known
        return min(known, refused) if known else refused

    def room(self, model: str, *, answer: int | None = None, tools: int = 0, files: int = 0) -> float:
        """The bytes that the text of a prompt may have, beside `tools` bytes of tools, an answer of `answer` tokens,
        and files of `files` tokens, which are never left more than half of it."""
        settings, left, each = self._settings, self._left(model, answer, tools), self.bytes_per_token(model)
        left -= min(self.files(model, files), FILES * left) if files else 0.0
        return max(0.0, min(settings.model_context_tokens.get(model, settings.context_tokens), left) * each)

    def room_for_files(self, model: str, weight: int, *, answer: int | None = None, tools: int = 0) -> float:
        """The tokens that files may have by their estimate, beside a text of `weight` bytes."""
        left = self._left(model, answer, tools + weight)
        return max(0.0, left / self.files(model, 1))

    def _left(self, model: str, answer: int | None, weight: int) -> float:
        window = self.window(model)
        if window is None:
            return inf
        return window * MARGIN - min(answer or ANSWER, window // 4) - weight / self.bytes_per_token(model)

    def bytes_per_token(self, model: str) -> float:
        return self._bytes.get(model, self._settings.bytes_per_token)

    def files(self, model: str, estimate: int) -> float:
        """The tokens of files that are `estimate` by what vendors publish."""
        return estimate * self._files.get(model, 1.0)

    def asked(self, model: str, weight: int, files: int) -> int:
        """The tokens of a request of `weight` bytes and files of `files` tokens, by estimate."""
        return tokens(weight, self.bytes_per_token(model)) + round(self.files(model, files))

    def learn(self, model: str, weight: int, usage: Usage, files: int = 0) -> None:
        """Takes in what the vendor counted of a request of `weight` bytes, and of files where they are most of it."""
        if usage.estimated or not usage.input_tokens:
            return
        if files:
            self._weigh_files(model, weight, files, usage.input_tokens)
        elif weight >= TELLING:
            _average(self._bytes, model, weight / usage.input_tokens, LEAST, MOST)

    def refused(self, model: str, weight: int, excess: Excess | None, files: int = 0) -> None:
        """Takes in that a request was too long, and by how much, if the vendor says so. One with files tells nothing
        else of what a window or a token is, and neither does little text: the files may be what was too much."""
        each = self.bytes_per_token(model)
        if excess is not None:
            self._hold(model, excess.most)
        if files and excess is not None and excess.asked is not None:
            self._weigh_files(model, weight, files, excess.asked)
        if files or weight < TELLING:
            return
        if excess is None:
            self._hold(model, max(1, round(UNTOLD * weight / each)))
        elif excess.asked is not None:
            _put(self._bytes, model, _bounded(weight / excess.asked))
        elif weight / each < excess.most:  # so tokens are smaller than they were taken to be
            _put(self._bytes, model, _bounded(weight / excess.most))

    def _weigh_files(self, model: str, weight: int, files: int, counted: int) -> None:
        if files * BYTES_PER_TOKEN >= max(weight, TELLING):  # else a word more or less counts like a picture
            text = weight / self.bytes_per_token(model)
            _average(self._files, model, (counted - text) / files, LIGHTEST, HEAVIEST)

    def _hold(self, model: str, window: int) -> None:
        _put(self._refused, model, (window, self._clock() + HELD))


def _bounded(measured: float, least: float = LEAST, most: float = MOST) -> float:
    return min(most, max(least, measured))


def _average(known: dict[str, float], model: str, measured: float, least: float, most: float) -> None:
    """Moves what is known of a model; of one of which nothing is, a report is believed as it is."""
    before = known.get(model, measured)
    _put(known, model, _bounded(before + NEW * (measured - before), least, most))


def _put(known: dict[str, Known], model: str, value: Known) -> None:
    known[model] = value
    if len(known) > KNOWN:
        del known[next(iter(known))]


@lru_cache(maxsize=KNOWN)
def _family(model: str) -> int | None:
    name = model.partition(":")[2].rpartition("/")[2].lower().removeprefix("ft:")
    fitting = [family for family in FAMILIES if name.startswith(family)]
    return FAMILIES[max(fitting, key=len)] if fitting else None
