"""Less of a prompt that was too long for its model: what a model needs least goes first."""

from msgspec import structs

from antiphon.assistants.estimate import message_size, messages_size, size
from antiphon.providers.base import ChatMessage, Excess
from antiphon.providers.taking import named

LESS = 0.5
"""Of a prompt, where nobody knows what would fit."""

CLOSER = 0.9
"""Of what would fit: the rest is for what is counted differently."""

SHORT = 2_000
"""Bytes that every result of a tool keeps."""

CUT = "\n… (the rest was left out: too long)"


def shorter(messages: tuple[ChatMessage, ...], excess: Excess | None) -> tuple[ChatMessage, ...] | None:
    """The prompt with the files of its past named only, then with its oldest exchanges left out, then with results of
    tools cut; None when nothing can go. Of a refusal without numbers the files are taken to be the reason.

    Instructions, a summary and what the person says last stay as they are, and every call keeps its result.
    """
    asked = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    if not any(message.files for message in messages[:asked]):
        return _less_text(messages, excess)
    bare = (*(named(message, message.files) for message in messages[:asked]), *messages[asked:])
    return bare if excess is None or excess.asked is None else _less_text(bare, excess) or bare


def _less_text(messages: tuple[ChatMessage, ...], excess: Excess | None) -> tuple[ChatMessage, ...] | None:
    share = LESS
    if excess is not None and excess.asked is not None:
        share = min(CLOSER, CLOSER * excess.most / excess.asked)
    over = messages_size(messages) * (1 - share)
    begins = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    asked = max((at for at, message in enumerate(messages) if message.role == "user"), default=begins)
    kept = begins
    for at in range(begins, asked):
        if over <= 0 and messages[at].role == "user":
            break  # an exchange goes as a whole: what follows the question answers it
        over -= message_size(messages[at])
        kept = at + 1
    rest = messages[kept:]
    if kept > begins and (notes := messages[begins].notes):
        rest = (structs.replace(rest[0], notes="\n\n".join(filter(None, [notes, rest[0].notes]))), *rest[1:])
    if over > 0:
        rest = tuple(_cut(message, share) for message in rest)
    less = (*messages[:begins], *rest)
    return less if messages_size(less) < messages_size(messages) else None


def _cut(message: ChatMessage, share: float) -> ChatMessage:
    weight = size(message.text)
    most = max(SHORT, int(weight * share))
    if message.role != "tool" or weight <= most + len(CUT):
        return message
    text = message.text.encode(errors="surrogatepass")[:most].decode(errors="ignore")
    return structs.replace(message, text=f"{text}{CUT}")
