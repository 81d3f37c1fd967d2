"""Texts to the word pieces of BERT models (Devlin et al., 2018; the uncased and cased vocabularies alike)."""

import unicodedata
from collections.abc import Iterator, Mapping

_LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """`vocabulary` gives the number of each piece, those inside a word with `##` before them."""

    def __init__(self, vocabulary: Mapping[str, int], *, lower: bool) -> None:
        self._vocabulary = vocabulary
        self._lower = lower
        self._unknown, self._first, self._last = (vocabulary[name] for name in ("[UNK]", "[CLS]", "[SEP]"))

    def ids(self, text: str, most: int) -> list[int]:
        """The numbers of the pieces of `text` between those that begin and end it, at most `most` of them."""
        found: list[int] = []
        for word in _words(_normalised(text, lower=self._lower)):
            found += self._pieces(word)
            if len(found) >= most - 2:
                break
        return [self._first, *found[: most - 2], self._last]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        pieces: list[int] = []
        start = 0
        while start < len(word):
            for stop in range(len(word), start, -1):
                number = self._vocabulary.get(("##" if start else "") + word[start:stop])
                if number is not None:
                    break
            else:
                return [self._unknown]
            pieces.append(number)
            start = stop
        return pieces


def _normalised(text: str, *, lower: bool) -> str:
    kept = "".join(_cleaned(text))
    if not lower:
        return kept
    decomposed = unicodedata.normalize("NFD", kept)
    return "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn").lower()


def _cleaned(text: str) -> Iterator[str]:
    for letter in text:
        if letter in "\t\n\r" or unicodedata.category(letter) == "Zs":
            yield " "
        elif letter in "\0\ufffd" or unicodedata.category(letter).startswith("C"):
            continue
        elif any(low <= ord(letter) <= high for low, high in _CJK):
            yield f" {letter} "
        else:
            yield letter


def _words(text: str) -> Iterator[str]:
    for run in text.split():
        word = ""
        for letter in run:
            if _is_sign(letter):
                if word:
                    yield word
                yield letter
                word = ""
            else:
                word += letter
        if word:
            yield word


def _is_sign(letter: str) -> bool:
    ascii_sign = letter.isascii() and not letter.isalnum()
    return ascii_sign or unicodedata.category(letter).startswith("P")
