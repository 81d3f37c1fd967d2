"""From settings to an embedder."""

from importlib import import_module
from pathlib import Path

from antiphon.errors import ConfigError
from antiphon.search.embedders.base import Embedder
from antiphon.search.embedders.config import EmbedderSettings


def open_embedder(settings: EmbedderSettings) -> Embedder | None:
    """What the settings describe, None for none; nothing is asked yet. Raises `ConfigError` when something is missing,
    `ModuleError` without numpy."""
    if settings.kind == "none":
        return None
    bert = import_module("antiphon.search.embedders.bert")
    bert.numpy()
    if settings.kind == "local":
        if settings.folder is None:
            raise ConfigError("memory.embedder.folder is not set: name the folder of a BERT model.")
        local: Embedder = bert.BertEmbedder(Path(settings.folder))
        return local
    api: Embedder = import_module("antiphon.search.embedders.api").ApiEmbedder(settings)
    return api
