"""Feature flags: what is on for everybody, for a part of the people, or for some of them by id."""

from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from antiphon.errors import ConfigError
from antiphon.runtime.spelling import did_you_mean, near
from antiphon.settings.schema import shown

_Percent = Annotated[str, Field(pattern=r"^(?:100|\d{1,2}(?:\.\d{1,3})?)%$")]

Flag = bool | _Percent | tuple[str, ...]
"""true or false; a part of all people, such as `25%`; or the ids of those for whom it is on."""


class Features(BaseModel):
    """The flags of the house, and any further ones that a program asks for by name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Flag] = Field(init=False)

    choose_model: Flag = Field(
        True, description="Whether people may choose models; where not, what they chose earlier does not count."
    )

    @model_validator(mode="after")
    def _refuse_slips(self) -> "Features":
        """A name of one's own that is almost one of the house is a slip of the pen."""
        for name in self.__pydantic_extra__:
            if meant := near(name, self.__class__.model_fields, likeness=0.8):
                raise ValueError(f"{shown(name)} is no flag of the house; did you mean {meant[0]}?")
        return self

    def names(self) -> tuple[str, ...]:
        """Every flag that may be asked for."""
        return (*type(self).model_fields, *self.__pydantic_extra__)

    def enabled(self, name: str, person_id: str | None = None) -> bool:
        """Whether the flag is on for this person. A part of the people is always the same part, another one for each
        flag, and growing it takes it from nobody. Raises `ConfigError` for a flag that is not declared."""
        if name not in self.names():
            hint = did_you_mean(name, self.names())
            raise ConfigError(f"There is no flag {shown(name)}; declare it under features.{hint}")
        flag: Flag = getattr(self, name)
        if isinstance(flag, bool):
            return flag
        if isinstance(flag, tuple):
            return person_id in flag
        part = float(flag.removesuffix("%"))
        return part >= 100 or (person_id is not None and _position(name, person_id) < part)


def _position(name: str, person_id: str) -> float:
    """Where a person stands among all, from 0 to 100, as far as this flag is concerned."""
    digest = sha256(f"{name}\0{person_id}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64 * 100
