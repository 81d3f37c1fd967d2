"""The numpy runner against the same sums done one by one, on a model small enough for that."""

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from antiphon.errors import ConfigError
from antiphon.search.embedders.bert import BertEmbedder
from antiphon.search.embedders.wordpiece import WordPiece

pytest.importorskip("numpy")

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 8, 2, 2, 12, 16
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "like", "##s", "i", ".", "zo", "##e", "日", "本"]
Matrix = list[list[float]]


def weights_of(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)

    def vector(length: int) -> list[float]:
        return [struct.unpack("<f", struct.pack("<f", chance.gauss(0, 0.5)))[0] for _ in range(length)]

    def matrix(rows: int, columns: int) -> Matrix:
        return [vector(columns) for _ in range(rows)]

    made: dict[str, Any] = {
        "embeddings.word_embeddings.weight": matrix(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": matrix(2, HIDDEN),
        "embeddings.LayerNorm.weight": vector(HIDDEN),
        "embeddings.LayerNorm.bias": vector(HIDDEN),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for name, out, into in (
            ("attention.self.query", HIDDEN, HIDDEN), ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN), ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", INNER, HIDDEN), ("output.dense", HIDDEN, INNER),
        ):  # fmt: skip
            made[f"{layer}.{name}.weight"], made[f"{layer}.{name}.bias"] = matrix(out, into), vector(out)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            made[f"{layer}.{name}.weight"], made[f"{layer}.{name}.bias"] = vector(HIDDEN), vector(HIDDEN)
    return made


def written(folder: Path, weights: dict[str, Any]) -> Path:
    header, data = {}, b""
    for name, values in weights.items():
        flat = [number for row in values for number in row] if isinstance(values[0], list) else values
        shape = [len(values), len(values[0])] if isinstance(values[0], list) else [len(values)]
        raw = struct.pack(f"<{len(flat)}f", *flat)
        header[f"bert.{name}"] = {
            "dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)],
        }  # fmt: skip
        data += raw
    head = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    config = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "max_position_embeddings": POSITIONS}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert", "hidden_act": "gelu"}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    return folder


def reference(ids: list[int], weights: dict[str, Any]) -> list[float]:
    """The model with lists and loops, and the error function of the machine."""

    def linear(rows: Matrix, name: str) -> Matrix:
        matrix, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [
            [sum(a * b for a, b in zip(row, out, strict=True)) + add for out, add in zip(matrix, bias, strict=True)]
            for row in rows
        ]

    def norm(rows: Matrix, name: str) -> Matrix:
        result = []
        for row in rows:
            mean = sum(row) / len(row)
            spread = math.sqrt(sum((value - mean) ** 2 for value in row) / len(row) + 1e-12)
            scaled = zip(row, weights[f"{name}.weight"], weights[f"{name}.bias"], strict=True)
            result.append([(value - mean) / spread * scale + shift for value, scale, shift in scaled])
        return result

    def plus(one: Matrix, other: Matrix) -> Matrix:
        return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(one, other, strict=True)]

    words, places, kind = (
        weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
    )
    x = [[words[one][at] + places[place][at] + kind[0][at] for at in range(HIDDEN)] for place, one in enumerate(ids)]
    x = norm(x, "embeddings.LayerNorm")
    size = HIDDEN // HEADS
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (linear(x, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        seen = [[0.0] * HIDDEN for _ in ids]
        for head in range(HEADS):
            part = range(head * size, (head + 1) * size)
            for at in range(len(ids)):
                scores = [sum(query[at][n] * other[n] for n in part) / math.sqrt(size) for other in key]
                raised = [math.exp(score) for score in scores]
                for n in part:
                    seen[at][n] = sum(r * v[n] for r, v in zip(raised, value, strict=True)) / sum(raised)
        x = norm(plus(x, linear(seen, f"{layer}.attention.output.dense")), f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = [[v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in row] for row in inner]
        x = norm(plus(x, linear(inner, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
    mean = [sum(row[at] for row in x) / len(x) for at in range(HIDDEN)]
    length = math.sqrt(sum(value * value for value in mean))
    return [value / length for value in mean]


async def test_it_computes_what_the_model_says(tmp_path: Path) -> None:
    weights = weights_of(7)
    embedder = BertEmbedder(written(tmp_path / "tiny", weights))
    texts = ["I like tea.", "likes", "", "Zoë 日本 🎉", "tea " * 100]
    pieces = WordPiece({piece: number for number, piece in enumerate(VOCABULARY)}, lower=True)
    for text, vector in zip(texts, await embedder.embed(texts), strict=True):
        expected = reference(pieces.ids(text, POSITIONS), weights)
        assert vector == pytest.approx(expected, abs=1e-4), text
        assert math.sqrt(sum(value * value for value in vector)) == pytest.approx(1, abs=1e-5)
    assert embedder.model == "local:tiny"
    await embedder.stop()


def test_words_become_pieces() -> None:
    pieces = WordPiece({piece: number for number, piece in enumerate(VOCABULARY)}, lower=True)

    def named(text: str, most: int = 100) -> list[str]:
        return [VOCABULARY[number] for number in pieces.ids(text, most)][1:-1]

    assert named("I LIKES tea.") == ["i", "like", "##s", "tea", "."]
    assert named("Zoë") == ["zo", "##e"]
    assert named("日本 tea\u200b\0") == ["日", "本", "tea"]
    assert named("teapot " + "tea" * 50) == ["[UNK]", "[UNK]"]
    assert named("tea " * 50, most=5) == ["tea"] * 3


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt"])
async def test_a_folder_that_holds_no_such_model_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "broken", weights_of(1))
    for content in (b"", b"\xff" * 40, b'{"num_hidden_layers": "x"}'):
        (folder / name).write_bytes(content)
        with pytest.raises(ConfigError, match="broken"):
            await BertEmbedder(folder).embed(["tea"])
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        BertEmbedder(folder)
