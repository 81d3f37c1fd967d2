"""A BERT model from a folder, computed with numpy: the mean of its last layer, of length 1, as sentence models want it.

Devlin et al., "BERT" (2018); Reimers and Gurevych, "Sentence-BERT" (2019).
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.errors import ConfigError, ModuleError
from antiphon.runtime.threads import run_async
from antiphon.search.embedders.safetensors import read
from antiphon.search.embedders.wordpiece import WordPiece

MOST_PIECES = 256
"""Of a text; what is behind them is not looked at."""


class _Shape(Struct):
    """What `config.json` says of the model."""

    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    model_type: str = "bert"
    hidden_act: str = "gelu"


class BertEmbedder:
    """An `Embedder` on the weights in `folder`, which are read at the first text; it computes in a thread.

    Raises `ModuleError` without numpy, `ConfigError` for a folder without such a model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._np = numpy()
        missing = [name for name in ("model.safetensors", "config.json", "vocab.txt") if not (folder / name).is_file()]
        if missing:
            raise ConfigError(f"memory.embedder.folder: {folder} has no {', '.join(missing)}.")
        self._loaded: tuple[WordPiece, _Shape, dict[str, Any]] | None = None

    @property
    def model(self) -> str:
        return f"local:{self._folder.name}"

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        return await run_async(self._embed, texts)

    async def stop(self) -> None:
        """Nothing is held but memory."""

    def _embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        pieces, shape, weights = self._loaded or self._load()
        most = min(MOST_PIECES, shape.max_position_embeddings)
        return [self._forward(pieces.ids(text, most), shape, weights) for text in texts]

    def _load(self) -> tuple[WordPiece, _Shape, dict[str, Any]]:
        try:
            shape = msgspec.json.decode((self._folder / "config.json").read_bytes(), type=_Shape)
            lines = (self._folder / "vocab.txt").read_text("utf-8").split("\n")
            more = self._folder / "tokenizer_config.json"
            lower = not more.is_file() or msgspec.json.decode(more.read_bytes()).get("do_lower_case", True)
            pieces = WordPiece({line: number for number, line in enumerate(lines)}, lower=lower)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(f"memory.embedder.folder: {self._folder} has no usable BERT model ({error}).") from None
        if (shape.model_type, shape.hidden_act) != ("bert", "gelu"):
            raise ConfigError(f"memory.embedder.folder: {self._folder} holds no BERT model with gelu.")
        found = read(self._folder / "model.safetensors")
        weights = {name.removeprefix("bert."): array.astype("float32") for name, array in found.items()}
        self._loaded = pieces, shape, weights
        return self._loaded

    def _forward(self, ids: list[int], shape: _Shape, weights: dict[str, Any]) -> Sequence[float]:
        np = self._np

        def linear(x: Any, name: str) -> Any:
            return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

        def norm(x: Any, name: str) -> Any:
            centred = x - x.mean(-1, keepdims=True)
            spread = np.sqrt((centred**2).mean(-1, keepdims=True) + shape.layer_norm_eps)
            return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]

        def heads(x: Any) -> Any:
            return x.reshape(len(ids), shape.num_attention_heads, -1).transpose(1, 0, 2)

        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in (f"encoder.layer.{number}" for number in range(shape.num_hidden_layers)):
            query, key, value = (heads(linear(x, f"{layer}.attention.self.{n}")) for n in ("query", "key", "value"))
            seen = _softmax(np, query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(query.shape[-1]))) @ value
            seen = linear(seen.transpose(1, 0, 2).reshape(len(ids), -1), f"{layer}.attention.output.dense")
            x = norm(x + seen, f"{layer}.attention.output.LayerNorm")
            inner = _gelu(np, linear(x, f"{layer}.intermediate.dense"))
            x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        mean = x.mean(0)
        vector: Sequence[float] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).tolist()
        return vector


def numpy() -> Any:
    """The package. Raises `ModuleError` with what to install."""
    try:
        return import_module("numpy")
    except ModuleNotFoundError:
        raise ModuleError("Comparing meanings needs numpy: pip install 'antiphon[semantic]'.") from None


def _softmax(np: Any, x: Any) -> Any:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _gelu(np: Any, x: Any) -> Any:
    """x Φ(x), with the error function as in Abramowitz and Stegun 7.1.26: right to 1.5e-7."""
    z = np.abs(x) / np.sqrt(2.0)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return x * 0.5 * (1 + np.sign(x) * (1 - poly * np.exp(-z * z)))
