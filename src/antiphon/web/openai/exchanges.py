"""What a client brings along of a conversation, as questions and what followed them."""

from collections.abc import Sequence
from hashlib import sha256

from antiphon.domain import Upload
from antiphon.providers.base import ChatMessage


def exchanges_of(messages: Sequence[ChatMessage]) -> list[tuple[str, str, str, tuple[Upload, ...]]]:
    """Each question with what followed it and its files, under a key that is the same whenever the same was said up to
    there."""
    digest = sha256()
    found: list[tuple[str, list[str], list[str], list[Upload]]] = []
    for message in messages:
        digest.update(f"{message.role}\0{message.text}\0".encode("utf-8", "surrogatepass"))
        files = _uploads(message)
        for file in files:
            digest.update(sha256(file.data).digest())
        if message.role == "user" and (not found or found[-1][2]):
            found.append((f"openai:{digest.hexdigest()}", [message.text], [], files))
        elif message.role == "user":
            _, said, _, before = found[-1]
            found[-1] = (f"openai:{digest.hexdigest()}", [*said, message.text], [], [*before, *files])
        elif message.role == "assistant" and message.text.strip() and found:
            found[-1][2].append(message.text)
    joined = [(key, _joined(said), _joined(answers), tuple(files)) for key, said, answers, files in found]
    return joined or [("openai:", "", "", ())]


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(filter(None, texts))


def _uploads(message: ChatMessage) -> list[Upload]:
    return [
        Upload(name=file.name, media_type=file.media_type, data=file.data)
        for file in message.files
        if file.data is not None
    ]
