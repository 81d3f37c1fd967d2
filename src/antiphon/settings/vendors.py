"""What the variables of the vendors' own tools set, beside the settings: keys and addresses of providers."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from antiphon.providers.config import ProviderSettings, ProvidersSettings, key_variables, with_environment
from antiphon.providers.registry import ProviderRegistry

VENDORS = tuple(name for name in ProviderRegistry(plugged=()).names() if key_variables(name))
KEYS = frozenset(variable for name in VENDORS for variable in key_variables(name))
"""The variables in which people keep the keys of the vendors that are built in."""


def set_by_variables(providers: ProvidersSettings, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Setting, value and variable, where the settings leave it to a variable; keys are masked."""
    for name in VENDORS:
        section = providers.named(name)
        known = section or ProviderSettings()
        for variable, text in environ.items():
            try:
                alone = with_environment(name, section, {variable: text})
            except ValidationError:
                continue  # it sets nothing, and is refused where it is needed
            for field, value in alone:
                if value != getattr(known, field):
                    yield f"providers.{name}.{field}", str(value), variable
