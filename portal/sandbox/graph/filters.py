"""A reader for the part of OData's `$filter` that calendar clients use.

Follows https://learn.microsoft.com/graph/filter-query-parameter: comparisons, and/or/not, parentheses,
startswith/endswith/contains, and `any` over a collection. Leaves out arithmetic, `in`, `has` and `all`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<punct>[(),:])|(?P<word>[^\s(),:']+(?::\d\d(?::[\d.]+)?(?:Z|[+-]\d\d:\d\d)?)*))"
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(_fold(a) == _fold(b)),
    "ne": lambda a, b: bool(_fold(a) != _fold(b)),
    "gt": lambda a, b: a is not None and bool(_fold(a) > _fold(b)),
    "ge": lambda a, b: a is not None and bool(_fold(a) >= _fold(b)),
    "lt": lambda a, b: a is not None and bool(_fold(a) < _fold(b)),
    "le": lambda a, b: a is not None and bool(_fold(a) <= _fold(b)),
}
FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
    "contains": lambda a, b: b in a,
}


def _fold(value: Any) -> Any:
    """Texts are compared without case, and dates without their trailing zeros and Z."""
    if isinstance(value, str):
        folded = value.lower()
        return re.sub(r"(\.\d*?)0*z?$", r"\1", folded).rstrip(".z") if re.match(r"\d{4}-\d\d-\d\dt", folded) else folded
    return value


def value_at(row: Any, path: str) -> Any:
    """The value at `start/dateTime` in a row; None where nothing is."""
    for name in path.split("/"):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def matcher(text: str) -> Test:
    """A test for rows out of a `$filter`. Raises ValueError."""
    reader = _Reader(list(_tokens(text)))
    test = reader.either()
    if reader.peek() is not None:
        raise ValueError(f"unexpected '{reader.peek()}'")
    return test


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.strip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ValueError(f"cannot read at '{text[at : at + 20]}'")
        at = found.end()
        yield found.group().strip()


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def peek(self) -> str | None:
        return self.tokens[0] if self.tokens else None

    def take(self, wanted: str = "") -> str:
        if not self.tokens or (wanted and self.tokens[0] != wanted):
            raise ValueError(f"expected '{wanted or 'more'}'")
        return self.tokens.pop(0)

    def either(self) -> Test:
        tests = [self.both()]
        while self.peek() == "or":
            self.take()
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.peek() == "and":
            self.take()
            tests.append(self.one())
        return lambda row: all(test(row) for test in tests)

    def one(self) -> Test:
        if self.peek() == "not":
            self.take()
            inner = self.one()
            return lambda row: not inner(row)
        if self.peek() == "(":
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        name = self.take()
        if name.lower() in FUNCTIONS and self.peek() == "(":
            return self.function(FUNCTIONS[name.lower()])
        if name.lower().endswith("/any") and self.peek() == "(":
            return self.some(name[:-4])
        operator = self.take()
        if operator not in COMPARE:
            raise ValueError(f"unknown operator '{operator}'")
        wanted = _literal(self.take())
        return lambda row: COMPARE[operator](value_at(row, name), wanted)

    def function(self, check: Callable[[str, str], bool]) -> Test:
        self.take("(")
        path = self.take()
        self.take(",")
        wanted = str(_literal(self.take())).lower()
        self.take(")")
        return lambda row: check(str(value_at(row, path) or "").lower(), wanted)

    def some(self, path: str) -> Test:
        self.take("(")
        name = self.take()
        self.take(":")
        inner = self.either()
        self.take(")")
        return lambda row: any(inner({name: member}) for member in value_at(row, path) or [])


def _literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if token in {"true", "false", "null"}:
        return {"true": True, "false": False, "null": None}[token]
    try:
        return float(token)
    except ValueError:
        return token
