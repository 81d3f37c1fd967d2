"""The contract of a command: what people type after a slash, and what it asks the house to do.

A command changes nothing itself: it returns a `CommandOutcome`, and the flow carries it out. Every file of this
folder holds one `command`; its name is the file's name. Parameters of `run` behind the call are services: each is
annotated with the type, as a rule a Protocol, under which the workspace provides it. What it cannot do it raises as
an `AntiphonError`, whose sentence the person reads.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct, structs

from antiphon.domain import Conversation, Person, Thumb, Turn, TurnRecord
from antiphon.errors import AntiphonError, ConfigError
from antiphon.runtime.base import Services
from antiphon.runtime.registry import Registry
from antiphon.runtime.spelling import did_you_mean

_LONGEST_NAME = 40
"""Characters of a name that does not exist which its refusal repeats."""


class CommandHouse(Protocol):
    """What commands may ask the house. Bound by the workspace."""

    def commands(self) -> Sequence["Command"]: ...

    async def models(self) -> Sequence[str]:
        """The models on offer as `provider:model`; a provider that does not answer is left out."""
        ...

    async def known_model(self, name: str) -> str:
        """The full name of a model a person typed. Raises `ModuleError` with the nearest valid one."""
        ...

    def selection(self, conversation: Conversation, person: Person) -> tuple[str, str]:
        """The model that would answer now and which step decides it."""
        ...

    def may_choose(self, person: Person) -> bool:
        """Whether this person's choice of a model counts."""
        ...

    async def decide(self, call: "CommandCall", verdict: Literal["approved", "denied"]) -> str:
        """Answers what waits for this person's permission: the one that the argument names, or the only one. Returns
        what is done now. Raises `ValidationError` when there is none, or which one is not clear."""
        ...

    async def last_turn(self, conversation_id: str) -> TurnRecord | None: ...

    async def status(self) -> Mapping[str, str]:
        """Facts about the running house for people, in the order in which to show them."""
        ...


class Judging(Protocol):
    """Takes what people say of answers; a service for commands."""

    async def judge_latest(
        self, person: Person, conversation_id: str, *, before: int, verdict: Thumb | None, comment: str | None = None
    ) -> None:
        """On the last answer to a question whose ticket is less than `before`; without a verdict theirs is taken back.
        Raises `NotFoundError` when there is none, and `ValidationError` for a comment that is too long."""
        ...


class CommandCall(Struct, frozen=True, kw_only=True):
    """One use of a command: the text behind its name, who asked, and where."""

    argument: str
    turn: Turn
    conversation: Conversation
    person: Person
    house: CommandHouse


class CommandOutcome(Struct, frozen=True, kw_only=True):
    """The answer, and what changes: None leaves a setting alone, an empty string clears it."""

    text: str
    model: str | None = None
    preferred_model: str | None = None
    language: str | None = None
    assistant: str | None = None
    reset_context: bool = False
    refused: bool = False


class Command(Struct, frozen=True, kw_only=True):
    """`usage` is what to type, `summary` one sentence for `/help`."""

    name: str
    usage: str
    summary: str
    run: Callable[..., Awaitable[CommandOutcome]]

    async def answer(self, call: CommandCall) -> CommandOutcome:
        """What it comes to. An error that trying again does not mend is a refusal, in its own words."""
        try:
            return await self.run(call)
        except AntiphonError as error:
            if error.retryable:
                raise
            return CommandOutcome(text=error.public, refused=True)

    def served(self, services: Services) -> "Command":
        """The same with its services filled in; that they are there is checked when the workspace starts."""
        return structs.replace(self, run=services.inject(self.run, by=f"The command /{self.name}", given=1))


def command_registry() -> Registry[Command]:
    """The commands of this folder by file name, and those of installed packages (entry points `antiphon.commands`)."""
    return Registry("command", lambda module: module.command, package="antiphon.commands", group="antiphon.commands")


class Commands:
    """The commands of a workspace, found by what a person typed. `services` is what they may ask for."""

    def __init__(self, commands: Sequence[Command], services: Services) -> None:
        self._services = services
        self._by_name: dict[str, Command] = {}
        for command in sorted(commands, key=lambda each: each.name):
            self.add(command)

    def add(self, command: Command) -> None:
        """Adds one, before the house starts. Raises `ConfigError` when the name is taken."""
        if command.name in self._by_name:
            raise ConfigError(f"There is a command /{command.name} already; give this one another name.")
        self._by_name[command.name] = command.served(self._services)

    def remove(self, name: str) -> None:
        """Takes one back, before the house starts."""
        del self._by_name[name]

    def all(self) -> tuple[Command, ...]:
        return tuple(self._by_name.values())

    def match(self, text: str) -> tuple[Command, str] | None:
        """The command in `text` and its argument; None when it is an ordinary message.

        A text is a command when it begins with a slash and a word: `/etc/hosts` and `/ 2` are messages.
        An unknown command matches a refusal that names the nearest valid one.
        """
        word, *rest = text.split(None, 1) or [""]
        name, argument = word[1:].lower(), " ".join(rest)
        if not word.startswith("/") or not name.isidentifier():
            return None
        return self._by_name.get(name) or _unknown(name, tuple(self._by_name)), argument.strip()


def all_commands(services: Services) -> Commands:
    """Those of this folder and of installed packages."""
    found = command_registry()
    return Commands([found.get(name) for name in found.names()], services)


async def judged(call: CommandCall, judging: Judging, verdict: Thumb, thanks: str) -> CommandOutcome:
    """Judges the last answer, with what stands behind the command as the comment; `undo` takes the judgement back."""
    undo, here = call.argument.lower() == "undo", call.conversation.id
    word, comment = (None, None) if undo else (verdict, call.argument)
    await judging.judge_latest(call.person, here, before=call.turn.ticket, verdict=word, comment=comment)
    return CommandOutcome(text="Nothing is noted of that answer any more." if undo else thanks)


def _unknown(name: str, known: tuple[str, ...]) -> Command:
    name = name[:_LONGEST_NAME]
    hint = did_you_mean(name, known, "Type /help to see what there is.", prefix="/")

    async def refuse(_: CommandCall) -> CommandOutcome:
        return CommandOutcome(text=f"There is no command /{name}.{hint}", refused=True)

    return Command(name=name, usage=f"/{name}", summary="", run=refuse)
