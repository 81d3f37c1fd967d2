"""How much of the machine a piece of work may use, written as in Kubernetes: `500m`, `2Gi`."""

import re
from decimal import Decimal
from types import MappingProxyType

from msgspec import Struct

from antiphon.errors import ConfigError

_QUANTITY = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE](?P<power>[+-]?[0-9]{1,2})|(?P<unit>[A-Za-z]*))"
)
_UNITS = MappingProxyType(
    {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(1000)}
    | {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", 2)}
    | {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
)
_LEAST_CPU = Decimal("0.01")


def quantity(text: str) -> Decimal:
    """The number that `text` stands for: decimal units (`m`, `k`, `M` …), binary ones (`Ki`, `Mi` …) or an exponent.

    Raises `ConfigError` (the grammar: kubernetes.io, resource.Quantity).
    """
    found = _QUANTITY.fullmatch(text.strip())
    unit = found["unit"] or "" if found else ""
    if not found or unit not in _UNITS:
        raise ConfigError(f"{text!r} is no quantity; write a number with a unit such as 500m, 1.5, 256Mi or 2G.")
    return Decimal(found["number"]).scaleb(int(found["power"] or 0)) * _UNITS[unit]


class Resources(Struct, frozen=True):
    """Limits of one process and of all that it starts. Raises `ConfigError` naming the limit that cannot be meant.

    `cpu_limit` is in cores, `memory_limit` and `storage_size` are in bytes, all as Kubernetes writes them. `processes`
    is how many there may be at once.
    """

    cpu_limit: str = "1"
    memory_limit: str = "512Mi"
    storage_size: str = "256Mi"
    processes: int = 32

    def __post_init__(self) -> None:
        for name, least in (("cpu_limit", _LEAST_CPU), ("memory_limit", 1), ("storage_size", 1)):
            text = getattr(self, name)
            try:
                enough = quantity(text) >= least
            except ConfigError as error:
                raise ConfigError(f"Resources: {name}: {error}") from None
            if not enough:
                raise ConfigError(f"Resources: {name}={text!r} is too little to run anything; it is at least {least}.")
        if self.processes < 1:
            raise ConfigError(f"Resources: processes={self.processes} is too little to run anything; it is at least 1.")

    @property
    def cpus(self) -> float:
        """Cores, or a share of one."""
        return float(quantity(self.cpu_limit))

    @property
    def memory_bytes(self) -> int:
        return int(quantity(self.memory_limit))

    @property
    def storage_bytes(self) -> int:
        return int(quantity(self.storage_size))
