"""The section `files` of the settings."""

from pydantic import BaseModel, ConfigDict, Field


class FileSettings(BaseModel):
    """What people may attach to their messages, and how much of it a model is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(10_485_760, ge=1, le=2**28, description="Largest file, in bytes.")
    person_bytes: int = Field(524_288_000, ge=0, description="All files of one person together, in bytes.")
    most_at_once: int = Field(10, ge=0, le=100, description="Files of one message; 0 takes none.")
    unnamed_hours: float = Field(
        24.0, ge=0, description="After this a file that no message names gives way when its owner needs the room."
    )
    prompt_files: int = Field(
        6, ge=0, le=100, description="Images, PDFs and sounds that a model is given, the newest of a conversation."
    )
    prompt_bytes: int = Field(20_971_520, ge=0, description="All those together, in bytes; the newest come first.")
    text_tokens: int = Field(
        8_000, ge=0, description="Tokens (estimated) of text files that a model is given, the newest first."
    )
    vendor_urls: bool = Field(
        False, description="Whether a vendor of models may fetch files from addresses that somebody gave. We never do."
    )
