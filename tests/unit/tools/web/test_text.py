import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.web.text import readable

BASE = "https://example.com/folder/page"


def text(html: str) -> str:
    return readable(html, BASE).text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h1>One</h1><p>Two  \n three", "# One\n\nTwo three"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<a href='../x?y=1&amp;z=2'>link</a>", "[link](https://example.com/x?y=1&z=2)"),
        ("<a href=#top>up</a> <a name=x>here</a>", "up here"),
        ("<a href=javascript:alert(1)>no</a>", "no"),
        ("<img src=x alt='a cat'>", "[image: a cat]"),
        ("<table><tr><td>1<td>2</tr><tr><th>3</table>", "| 1 | 2\n| 3"),
        ("<pre>def f():\n    return 1</pre>", "def f():\n    return 1"),
        ("a<script>if (x<y) { '</p>' }</script>b<style>p{}</style>c<!-- <p>no -->d", "abcd"),
        ("<NAV>menu</NAV>text<footer>end</footer>", "text"),
        ("<nav>never closed", "never closed"),
        ("a<script>never closed", "anever closed"),
        ("1 < 2 and 3 > 2 &lt;b&gt; don't", "1 < 2 and 3 > 2 <b> don't"),
        ("<p title='a > b'>x", "x"),
        ("<p title='never closed>x", ""),
        ("<!doctype html><?xml ?><![CDATA[x]]>y", "y"),
        ("a<!-- never closed", "a"),
    ],
)
def test_pages_become_words(html: str, expected: str) -> None:
    assert text(html) == expected


def test_a_page_has_a_title() -> None:
    found = readable("<head><title> A &amp; B </title></head><body><title>no</title>x", BASE)
    assert found == ("A & B", "nox")


@given(st.text(alphabet="<>/!-='\"ab &;#\nscriptpre", max_size=200))
def test_any_text_is_survived(html: str) -> None:
    readable(html, BASE)


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<a ", "<", "<a b='", "<![CDATA[", "</", "<script>", "<nav>", "<pre>", "=  ", "<b> ", "<pre>x\t", "\t"],
)
def test_a_page_made_to_take_long_does_not(piece: str) -> None:
    """Four times as much takes about four times as long; what is quadratic takes sixteen times."""
    times = []
    for size in (100_000, 400_000):
        begun = time.process_time()
        readable((piece * size)[:size], BASE)
        times.append(time.process_time() - begun)
    assert times[1] < 0.05 + 9 * times[0]
