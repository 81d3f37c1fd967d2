"""The language in which a person wants to be answered: a tag (BCP 47), and its name for models and people."""

import re
from collections.abc import Mapping
from types import MappingProxyType

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "Arabic",
        "bg": "Bulgarian",
        "bn": "Bengali",
        "ca": "Catalan",
        "cs": "Czech",
        "da": "Danish",
        "de": "German",
        "el": "Greek",
        "en": "English",
        "es": "Spanish",
        "et": "Estonian",
        "fa": "Persian",
        "fi": "Finnish",
        "fr": "French",
        "he": "Hebrew",
        "hi": "Hindi",
        "hr": "Croatian",
        "hu": "Hungarian",
        "id": "Indonesian",
        "it": "Italian",
        "ja": "Japanese",
        "ko": "Korean",
        "lt": "Lithuanian",
        "lv": "Latvian",
        "nb": "Norwegian",
        "nl": "Dutch",
        "pl": "Polish",
        "pt": "Portuguese",
        "ro": "Romanian",
        "ru": "Russian",
        "sk": "Slovak",
        "sl": "Slovenian",
        "sr": "Serbian",
        "sv": "Swedish",
        "sw": "Swahili",
        "ta": "Tamil",
        "th": "Thai",
        "tr": "Turkish",
        "uk": "Ukrainian",
        "ur": "Urdu",
        "vi": "Vietnamese",
        "zh": "Chinese",
    }
)
"""By their tags, those that people may also call by name. Any other tag is legal."""

_TAG = re.compile(r"([a-zA-Z]{2,3})((?:-[a-zA-Z0-9]{2,8}){0,3})")


def tag_of(text: str) -> str | None:
    """The tag that a person means, by itself (`de`, `pt-BR`) or by its English name; None when it is neither."""
    wish = text.strip()
    named = next((tag for tag, name in NAMES.items() if name.lower() == wish.lower()), None)
    found = _TAG.fullmatch(wish)
    return named or (f"{found[1].lower()}{_subtags(found[2])}" if found else None)


def in_words(tag: str) -> str:
    """`German (de)`; the tag alone where nobody knows its name."""
    name = NAMES.get(tag.partition("-")[0])
    return f"{name} ({tag})" if name else tag


def wanted(tag: str) -> str:
    """What a model is told."""
    return f"The person wants to be answered in {in_words(tag)}, whatever the language of the question is."


def _subtags(text: str) -> str:
    """In the spelling that is usual: `-Latn` for scripts, `-BR` for regions."""
    parts = text.split("-")[1:]
    return "".join(f"-{part.title() if len(part) == 4 else part.upper() if len(part) == 2 else part}" for part in parts)
