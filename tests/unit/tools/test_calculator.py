"""The calculator against Python's own numbers, and against people who mean it harm."""

import json
import operator
import tracemalloc
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from antiphon.errors import ToolError
from antiphon.tools._arithmetic import evaluate
from antiphon.tools.base import ToolContext
from antiphon.tools.calculator import calculator

WHOLE = st.integers(-(10**12), 10**12)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("0.1 + 0.2", "0.3"),
        ("(12.5 + 3) * 4", "62"),
        ("2 + 3 * 4 ** 2", "50"),
        ("-2 ** 2", "-4"),
        ("2 ** -1", "0.5"),
        ("2 ** 3 ** 2", "512"),
        ("2^10 =", "1024"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("10 % 3", "1"),
        ("17% of 2340", "397.8"),
        ("50% * 8", "4"),
        ("10% - 3", "-2.9"),
        ("100 % of 3", "3"),
        ("6 × 7 ÷ 2 − 1", "20"),
        ("1_000_000 * 3", "3000000"),
        ("1.5e3", "1500"),
        (".5 + 1.", "1.5"),
        ("1/3", "0.333333333333333"),
        ("2/3 * 3", "2"),
        ("sqrt(16)", "4"),
        ("√(2)", "1.4142135623731"),
        ("sqrt(2) ** 2", "2"),
        ("sqrt(1/4)", "0.5"),
        ("8 ** (1/3)", "2"),
        ("round(2.5)", "3"),
        ("round(-2.345, 2)", "-2.35"),
        ("round(1234, -2)", "1200"),
        ("min(3, 1, 2) + max(3, 1, 2)", "4"),
        ("mean(1, 2, 4)", "2.33333333333333"),
        ("sum(0.1, 0.2, 0.3)", "0.6"),
        ("floor(-1.5) + ceil(1.2) + abs(-3)", "3"),
        ("5! / 3!", "20"),
        ("factorial(20)", "2432902008176640000"),
        ("sin(pi) + cos(0) + tan(0)", "1"),
        ("SIN(PI / 6)", "0.5"),
        ("sin(1e-20)", "1E-20"),
        ("log(8, 2) + log10(1000) + ln(e)", "7"),
        ("2 ** 200", str(2**200)),
        ("(-1) ** (9 ** 99)", "-1"),
        ("(1 + 0.0437/12) ** 360", "3.70105778672538"),
        ("12345678901234567.89 + 0.01", "12345678901234567.9"),
    ],
)
async def test_examples(expression: str, result: str) -> None:
    assert await calculator(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("5 miles in km", "8.04672 km"),
        ("20 °C to °F", "68 °F"),
        ("-40F to celsius", "-40 celsius"),
        ("5 in in cm", "12.7 cm"),
        ("(3 + 4) ft to inches", "84 inches"),
        ("36 km/h to m/s", "10 m/s"),
        ("1.5 hours in min", "90 min"),
        ("1 GiB in MB", "1073.741824 MB"),
        ("3 lb in kg", "1.36077711 kg"),
    ],
)
async def test_units(expression: str, result: str) -> None:
    assert await calculator(expression) == result


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "expected a number and found the end"),
        ("1 +", "found the end"),
        ("1 2", "found '2' at character 3"),
        ("(1", "closing bracket"),
        ("max(1, 2", "comma"),
        ("sqrt", "bracket after sqrt"),
        ("sqrt(1, 2)", "takes 1 numbers, not 2"),
        ("foo(3)", "does not know 'foo'. It knows sqrt"),
        ("1 / 0", "divides by zero"),
        ("1 // 0", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("sqrt(-1)", "no real result"),
        ("(-8) ** 0.5", "not a real number"),
        ("asin(2)", "no real result"),
        ("ln(0)", "no real result"),
        ("log(2, 1)", "divides by zero"),
        ("(-3)!", "no real result"),
        ("2.5!", "whole number"),
        ("round(1, 1000)", "whole number"),
        ("5 kg in m", "measures mass and m measures length"),
        ("3 foo in bar", "unit 'foo'"),
        ("1.2.3", "found '.3'"),
    ],
)
async def test_what_cannot_be_computed_is_explained(expression: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        await calculator(expression)
    assert words in caught.value.public


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "9**9**9**9**9**9",
        "10**400 * 10**400 * 10**400 * 10**400 * 10**400 * 10**400 * 10**400",
        "1e400**9",
        "1e999999999",
        "1e-999999999",
        "0.1**99999",
        "999999999!",
        "500!!",
        "factorial(501)",
        "exp(1e9)",
        "exp(exp(exp(10)))",
        "round(1, 1e300)",
        "2**0.5**" * 60 + "2",
        "(" * 400 + "1" + ")" * 400 + "!" * 400,
        "(" * 200,
        "-" * 499 + "1",
        "sqrt(" * 80 + "2" + ")" * 80,
        "1+" * 100_000 + "1",
        "9" * 501,
        "__import__('os').system('true')",
        "().__class__.__bases__[0]",
        "lambda: 0",
        "[x for x in (1,)]",
        "'a' * 10",
        "1 if 2 else 3",
        "x := 5",
        "\x00",
        "\ud800",
        "²",
        "٣ + ١",
        "1" + " km" * 2_000 + " in m",
    ],
    ids=lambda expression: expression[:24].encode("unicode_escape").decode(),
)
async def test_hostile_expressions_are_refused_for_little_memory(expression: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ToolError):
            await calculator(expression)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "expression",
    [
        "+".join(["1"] * 250),
        "*".join(["99999999"] * 50),
        "/".join(["1e400"] * 2 + ["7"] * 200),
        "**".join(["1.0000000001", "9999999999"]),
        "%".join(["1e400"] * 60),
    ],
    ids=["sum", "product", "quotient", "power", "remainder"],
)
def test_no_intermediate_value_grows_beyond_its_bound(expression: str) -> None:
    value = evaluate(expression)
    assert value.numerator.bit_length() + value.denominator.bit_length() <= 8_192


# --- against Python -----------------------------------------------------------------------------------------------

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
}


@given(DECIMALS, st.sampled_from(sorted(OPERATORS)), DECIMALS)
def test_two_decimals_agree_with_fraction(left: Decimal, symbol: str, right: Decimal) -> None:
    assume(right or "/" not in symbol)
    expected = OPERATORS[symbol](Fraction(left), Fraction(right))
    assert evaluate(f"({left:f}) {symbol} ({right:f})") == expected


@given(WHOLE, WHOLE.filter(bool))
def test_the_remainder_agrees_with_python(left: int, right: int) -> None:
    assert evaluate(f"({left}) % ({right})") == left % right


EXPRESSIONS = st.recursive(
    st.integers(0, 999).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(" ".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"-{text}")
    ),
    max_leaves=25,
)


@given(EXPRESSIONS)
def test_precedence_and_brackets_agree_with_python(expression: str) -> None:
    assume(len(expression) <= 500)
    assume("(" * 12 not in expression)
    assert evaluate(expression) == eval(expression)  # noqa: S307 - made of digits, brackets and + - *


@given(st.integers(-50, 50), st.integers(0, 100))
def test_powers_agree_with_python(base: int, exponent: int) -> None:
    assert evaluate(f"({base}) ** {exponent}") == base**exponent


@given(DECIMALS, st.integers(-3, 6))
def test_rounding_agrees_with_decimal(value: Decimal, digits: int) -> None:
    expected = value.quantize(Decimal(1).scaleb(-digits), "ROUND_HALF_UP")
    assert evaluate(f"round({value:f}, {digits})") == Fraction(expected)


@given(DECIMALS)
async def test_a_decimal_is_shown_with_all_its_digits(value: Decimal) -> None:
    assert Decimal(await calculator(f"{value:f}")) == value


@given(st.text(max_size=600) | st.text("0123456789.eE+-*/%^!(), _abcdefgimnoprstuxy", max_size=80))
async def test_any_text_gives_a_number_or_a_sentence(expression: str) -> None:
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="a")
    result = await calculator.call(json.dumps({"expression": expression}), context)
    assert "error in the tool itself" not in result.text
