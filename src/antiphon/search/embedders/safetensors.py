"""Weights from a safetensors file (https://huggingface.co/docs/safetensors): 8 bytes, a JSON header, and numbers."""

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from antiphon.errors import ConfigError

_KINDS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8"}
_LONGEST_HEADER = 100 << 20


def read(file: Path) -> dict[str, Any]:
    """The arrays of numpy in `file` by name. Raises `ConfigError` for a file that is none of these."""
    np: Any = import_module("numpy")
    try:
        raw = np.memmap(file, dtype=np.uint8, mode="r")
        length = int.from_bytes(bytes(raw[:8]), "little")
        header = msgspec.json.decode(bytes(raw[8 : 8 + min(length, _LONGEST_HEADER)]))
        return {name: _array(np, raw[8 + length :], about) for name, about in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{file} cannot be read as safetensors ({error}).") from None


def _array(np: Any, data: Any, about: Any) -> Any:
    first, last = about["data_offsets"]
    flat = np.frombuffer(bytes(data[first:last]), dtype=_KINDS[about["dtype"]])
    return flat.reshape(about["shape"])
