"""The settings of an embedder."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class EmbedderSettings(BaseModel):
    """What compares meanings, for finding facts whose words are others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["none", "openai", "ollama", "gemini", "local"] = Field(
        "none",
        description="`openai` is whatever speaks its embeddings API, `local` the weights in `folder`; all need the "
        "extra `semantic`.",
    )
    model: str = Field("", description="The vendor's name of the model; not for `local`.")
    url: str | None = Field(None, description="Of the API, when it is not the vendor's own.")
    api_key: SecretStr | None = Field(None, description="For the API.")
    folder: str | None = Field(
        None, description="With `model.safetensors`, `config.json` and `vocab.txt` of a BERT model, for `local`."
    )
    batch: int = Field(64, ge=1, le=1_000, description="Texts in one request.")
    seconds: float = Field(20.0, gt=0, le=300, description="For one request.")
