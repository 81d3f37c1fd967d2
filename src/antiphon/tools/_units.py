"""Units of measure that the calculator converts, with exact factors (NIST SP 811, US customary volumes)."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from antiphon.errors import ToolError

_UNITS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "length": {"m": "1", "km": "1000", "cm": "0.01", "mm": "0.001", "in": "0.0254", "ft": "0.3048", "yd": "0.9144",
                   "mi": "1609.344", "nmi": "1852"},
        "mass": {"kg": "1", "g": "0.001", "mg": "0.000001", "t": "1000", "lb": "0.45359237", "oz": "0.028349523125"},
        "time": {"s": "1", "ms": "0.001", "min": "60", "h": "3600", "d": "86400", "wk": "604800"},
        "volume": {"l": "1", "ml": "0.001", "gal": "3.785411784", "pt": "0.473176473", "cup": "0.2365882365"},
        "speed": {"m/s": "1", "km/h": "5/18", "mph": "0.44704", "kn": "463/900"},
        "data": {"b": "1", "kb": "1000", "mb": "1000000", "gb": "1000000000", "tb": "1000000000000", "kib": "1024",
                 "mib": "1048576", "gib": "1073741824", "tib": "1099511627776"},
        "temperature": {"k": "1", "c": "1", "f": "5/9"},
    }
)  # fmt: skip
_ZERO = MappingProxyType({"c": Fraction("273.15"), "f": Fraction("273.15") - Fraction(160, 9)})  # in kelvin
_UNIT_NAMES = MappingProxyType(
    {
        "metre": "m", "meter": "m", "kilometre": "km", "kilometer": "km", "centimetre": "cm", "centimeter": "cm",
        "millimetre": "mm", "millimeter": "mm", "inch": "in", "inche": "in", "foot": "ft", "feet": "ft", "yard": "yd",
        "mile": "mi", "kilogram": "kg", "kilo": "kg", "gram": "g", "milligram": "mg", "tonne": "t", "pound": "lb",
        "ounce": "oz", "second": "s", "sec": "s", "millisecond": "ms", "minute": "min", "hour": "h", "hr": "h",
        "day": "d", "week": "wk", "litre": "l", "liter": "l", "millilitre": "ml", "milliliter": "ml", "gallon": "gal",
        "pint": "pt", "kmh": "km/h", "kph": "km/h", "knot": "kn", "byte": "b", "celsius": "c", "fahrenheit": "f",
        "kelvin": "k", "°c": "c", "°f": "f",
    }
)  # fmt: skip


def convert(amount: Fraction, source: str, target: str) -> Fraction:
    """`amount` of one unit in another, exactly. Raises `ToolError` for unknown units and for those of another kind."""
    (dimension, old), (other, new) = _unit(source), _unit(target)
    if dimension != other:
        raise ToolError(f"{source} measures {dimension} and {target} measures {other}: one cannot become the other.")
    factors = _UNITS[dimension]
    base = amount * Fraction(factors[old]) + _ZERO.get(old, 0)
    return (base - _ZERO.get(new, 0)) / Fraction(factors[new])


def _unit(written: str) -> tuple[str, str]:
    """The dimension and the symbol of a unit as a person wrote it."""
    name = written.lower()
    for candidate in (name, name.removesuffix("s")):
        symbol = _UNIT_NAMES.get(candidate, candidate)
        for dimension, symbols in _UNITS.items():
            if symbol in symbols:
                return dimension, symbol
    known = ", ".join(symbol for symbols in _UNITS.values() for symbol in symbols)
    raise ToolError(f"The calculator does not know the unit {written[:20]!r}. It knows {known}.")
