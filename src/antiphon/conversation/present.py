"""What a connection shows of its person to the others in a conversation, and the list of people that it makes."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from antiphon.assistants.present import PresentPerson
from antiphon.conversation.live import topic_of
from antiphon.domain import Person, Value, now

NAME_LIMIT = 200
"""Characters of a name that others are shown: every connection of every member is sent it."""


class Showing(Value, frozen=True):
    """The meta of one connection in the presence of a conversation."""

    name: str
    online_at: datetime


def show_person(person: Person) -> dict[str, Any]:
    """The meta of a connection of this person that joins now."""
    shape: dict[str, Any] = msgspec.to_builtins(Showing(name=person.name[:NAME_LIMIT], online_at=now()))
    return shape


class PeoplePresent:
    """`WhoIsHere` by what `listed` says is present in a topic: key to `{"metas": [...]}`."""

    def __init__(self, listed: Callable[[str], Mapping[str, Mapping[str, Any]]]) -> None:
        self._listed = listed

    def present(self, conversation_id: str) -> list[PresentPerson]:
        people = []
        for key, entry in self._listed(topic_of(conversation_id)).items():
            shown = sorted(_shown(entry["metas"]), key=lambda each: each.online_at)
            if shown:
                oldest, newest = shown[0], shown[-1]
                people.append(PresentPerson(id=key, name=newest.name, since=oldest.online_at, connections=len(shown)))
        return sorted(people, key=lambda person: (person.since, person.id))


def _shown(metas: list[dict[str, Any]]) -> Iterator[Showing]:
    for meta in metas:
        try:
            yield msgspec.convert(meta, Showing)
        except msgspec.ValidationError:  # a program's own, which it shows in this topic by another channel
            continue
