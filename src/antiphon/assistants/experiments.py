"""Experiments with prompts while they run: who is given which variant, and what came of it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from math import log

from msgspec import structs

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import ExperimentSection
from antiphon.assistants.directory import Directory
from antiphon.assistants.findings import Report, report_of
from antiphon.assistants.prompts import Experiment, Prompt, PromptManager, Variant
from antiphon.domain import Assignment, now
from antiphon.errors import ConfigError, NotFoundError
from antiphon.runtime.spelling import did_you_mean
from antiphon.storage.experiments import ExperimentStore

KEPT = 10_000
"""People whose variants are at hand; those that were not here for longest are asked of the store again."""


def assign(experiment: Experiment, person_id: str) -> Variant:
    """The variant of somebody who has none yet: the same in every process.

    Weighted rendezvous hashing: each variant draws for each person, and the highest draw wins. A further variant takes
    its share of the people from the others and moves nobody else. C. Schindelhauer and G. Schomaker, "Weighted
    Distributed Hash Tables", SPAA 2005; the logarithmic method.
    """

    def draw(variant: Variant) -> float:
        key = f"{experiment.name}\0{variant.name}\0{person_id}".encode("utf-8", "surrogatepass")
        whole = int.from_bytes(blake2b(key, digest_size=8).digest()) >> 11
        return variant.weight / -log((whole + 0.5) / 2**53)

    return max(experiment.variants, key=draw)


class Experiments:
    """The experiments of a program (`prompts`) and of its operator (`settings`), by assistant.

    A person keeps the variant with which a turn of theirs first ended, whatever becomes of the weights; the store keeps
    it with the result of the turn.
    """

    def __init__(
        self,
        prompts: PromptManager,
        assistants: Directory,
        store: ExperimentStore,
        settings: Mapping[str, ExperimentSection],
        *,
        today: Callable[[], datetime] = now,
    ) -> None:
        self._prompts = prompts
        self._assistants = assistants
        self._store = store
        self._settings = settings
        self._today = today
        self._by_name: dict[str, Experiment] = {}
        self._of_assistant: dict[str, str] = {}
        self._assigned: OrderedDict[tuple[str, str], str] = OrderedDict()

    def take(self, settings: Mapping[str, ExperimentSection]) -> None:
        """These count from now on. Raises `ConfigError` naming what is wrong with them."""
        by_name, of_assistant = dict(self._prompts.experiments), dict[str, str]()
        for name, section in settings.items():
            by_name[name] = _configured(name, section, by_name.get(name))
            self._prompts.check(by_name[name])
            if section.variants:
                whose = self._whose(name, section)
                if (other := of_assistant.setdefault(whose, name)) != name:
                    raise ConfigError(f"assistants.experiments: {other} and {name} are both about {whose}; end one.")
        self._settings, self._by_name, self._of_assistant = settings, by_name, of_assistant

    def check(self) -> None:
        """Takes what the program and the settings say, when the assistants are known. Raises as `take`."""
        self.take(self._settings)

    def of(self, assistant: Assistant) -> Experiment | None:
        """The one that the instructions of an assistant are."""
        name = self._of_assistant.get(assistant.name)
        if name is not None:
            return self._by_name[name]
        known = assistant.instructions
        return self._by_name.get(known.name, known) if isinstance(known, Experiment) else None

    async def serving(self, assistant: Assistant, person_id: str) -> tuple[Assistant, Assignment | None]:
        """An assistant as this person meets it, and what to count the turn for. Costs nothing where there is no
        experiment; else one reading of the store before a person's variant is at hand."""
        experiment = self.of(assistant)
        if experiment is None:
            return assistant, None
        settled = experiment.settled(self._today())
        if settled is not None:
            return assistant.changed(instructions=settled.prompt), None
        variant = await self._variant(experiment, person_id)
        assigned = Assignment(experiment=experiment.name, variant=variant.name)
        return assistant.changed(instructions=variant.prompt), assigned

    def again(self, assistant: Assistant, assignment: Assignment | None) -> Assistant:
        """An assistant as it began a turn that goes on."""
        experiment = self.of(assistant)
        if experiment is None:
            return assistant
        begun = experiment.variant(assignment.variant) if assignment is not None else None
        given = begun or experiment.settled(self._today()) or experiment.variants[0]
        return assistant.changed(instructions=given.prompt)

    async def reports(self) -> list[Report]:
        """All of them by name, also those that are gone and have results."""
        stored = await self._store.names()
        return [await self.report(name) for name in sorted({*self._by_name, *stored})]

    async def report(self, name: str) -> Report:
        """What came of one. Raises `NotFoundError` for one that never was."""
        experiment, tallies = self._by_name.get(name), await self._store.tallies(name)
        if experiment is None and not tallies:
            hint = did_you_mean(name, self._by_name, "")
            raise NotFoundError(f"There is no experiment of this name, and there are no results of one.{hint}")
        return report_of(name, experiment, tallies, self._today())

    async def _variant(self, experiment: Experiment, person_id: str) -> Variant:
        key = experiment.name, person_id
        name = self._assigned.get(key)
        if name is None:
            name = await self._store.assigned(experiment.name, person_id)
            if name is None:
                return assign(experiment, person_id)  # kept by the store with the turn's result
            self._assigned[key] = name
            if len(self._assigned) > KEPT:
                self._assigned.popitem(last=False)
        self._assigned.move_to_end(key)
        variant = experiment.variant(name)
        if variant is None:
            del self._assigned[key]
            await self._store.release(experiment.name, person_id, name)
            return assign(experiment, person_id)
        return variant

    def _whose(self, name: str, section: ExperimentSection) -> str:
        if not section.assistant:
            return self._assistants.default.name
        try:
            return self._assistants.get(section.assistant).name
        except ConfigError as error:
            raise ConfigError(f"assistants.experiments.{name}: {error}") from None


def _configured(name: str, section: ExperimentSection, known: Experiment | None) -> Experiment:
    """The experiment that a section makes, or that of the program as the section wants it."""
    if not section.variants and known is None:
        raise ConfigError(f"assistants.experiments.{name}: name its variants; the program has no experiment like it.")
    if section.variants and known is not None:
        raise ConfigError(f"assistants.experiments.{name}: the program names the variants of {name}; leave them out.")
    ends = {"paused": section.paused, "until": section.until, "winner": section.winner}
    if known is not None:
        return structs.replace(known, **{key: value for key, value in ends.items() if value})
    variants = tuple(
        Variant(name=each, prompt=made.text or Prompt(made.prompt, made.version), weight=made.weight)
        for each, made in section.variants.items()
    )
    return Experiment(name=name, variants=variants, paused=section.paused, until=section.until, winner=section.winner)
