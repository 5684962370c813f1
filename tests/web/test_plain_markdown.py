"""What people write: a small part of Markdown, and never HTML."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from portal.web.plain_markdown import plain_markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Hello", "<p>Hello</p>"),
        ("One\ntwo\n\nthree", "<p>One<br>two</p><p>three</p>"),
        ("**bold** and *slanted*", "<p><strong>bold</strong> and <em>slanted</em></p>"),
        ("2 * 3 * 4 and a_b_c", "<p>2 * 3 * 4 and a_b_c</p>"),
        ("`**code**`", "<p><code>**code**</code></p>"),
        ("- one\n- two", "<ul><li>one</li><li>two</li></ul>"),
        ("[here](/help)", '<p><a href="/help">here</a></p>'),
        ("[x](//evil.example)", "<p>x</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("<b>&amp;", "<p>&lt;b&gt;&amp;amp;</p>"),
    ],
)
def test_it_works(text: str, html: str) -> None:
    assert str(plain_markdown(text)) == html


def test_an_outside_link_shows_where_it_leads() -> None:
    html = plain_markdown("[Your bank](https://evil.example/login) or https://learn.microsoft.com/a?b=1.")
    soup = BeautifulSoup(html, "html.parser")
    first, second = soup.find_all("a")
    assert "(evil.example)" in soup.get_text()
    assert set(first["rel"]) == {"noopener", "noreferrer", "nofollow"}
    assert second["href"] == "https://learn.microsoft.com/a?b=1"


@given(st.text(alphabet="<>&\"'*`[]()/:hjavscript. \n-", max_size=120))
def test_nothing_else_than_a_few_tags_ever_comes_out(text: str) -> None:
    soup = BeautifulSoup(str(plain_markdown(text)), "html.parser")
    assert {tag.name for tag in soup.find_all()} <= {"p", "br", "strong", "em", "code", "ul", "li", "a", "span"}
    for tag in soup.find_all():
        assert set(tag.attrs) <= ({"href", "class", "rel"} if tag.name in ("a", "span") else set())
        assert str(tag.get("href", "/")).startswith(("/", "http://", "https://"))
