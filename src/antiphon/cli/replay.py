"""`antiphon replay`: a stored turn answered again, beside the answer that it got then."""

import sys
from pathlib import Path

from rich.console import Console

from antiphon.assistants.prompts import Prompt
from antiphon.cli.answers import Shown, as_data, as_it_is, as_it_was, show
from antiphon.cli.aside import assistant_called, house_aside
from antiphon.cli.options import ReplayOptions
from antiphon.cli.printable import print_json
from antiphon.conversation.replay import Original
from antiphon.errors import ConfigError, ValidationError
from antiphon.runtime.loops import run
from antiphon.storage.open import to_read
from antiphon.workspace import Workspace


def replay(options: ReplayOptions) -> None:
    """Exits with 1 where a model did not answer."""
    if (options.turn is not None) == options.last:
        raise ValidationError(
            "Name a turn, a conversation or conversation:ticket, or take the newest turn with --last."
        )
    house = house_aside(options.config, to_read, options.debug)
    original, answers = run(_replay(house, options))
    if options.as_json:
        print_json(as_data(original, answers))
    else:
        show(Console(highlight=False), original.past.turn.text, answers)
    if any(answer.status != "answered" for answer in answers[1:]):
        sys.exit(1)


async def _replay(house: Workspace, options: ReplayOptions) -> tuple[Original, list[Shown]]:
    async with house.aside() as replay:
        for model in options.models or ():
            house.providers.resolve(model)
        past = await replay.find(None if options.last else options.turn)
        other = assistant_called(options.assistant, house) if options.assistant else None
        original = await replay.original(past, assistant=other, instructions=_instructions(options.prompt))
        models: list[str | None] = list(options.models) if options.models else [None]
        wanted = [model for model in models for _ in range(options.times)]
        again = [as_it_is(await replay.run(original, model, tools=options.tools.value)) for model in wanted]
    return original, [as_it_was(original), *again]


def _instructions(wish: str | None) -> str | Prompt | None:
    """What a file says where there is one of that name, else the prompt of that name."""
    if wish is None:
        return None
    file = Path(wish)
    if file.is_file():
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The prompt {wish} cannot be read: {error}.") from error
    name, colon, version = wish.partition(":")
    if colon and not (version.isascii() and version.isdigit()):
        raise ConfigError(f"There is no file {wish}, and a prompt is named as name or name:version.")
    return Prompt(name, int(version) if colon else None)
