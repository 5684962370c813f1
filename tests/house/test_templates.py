"""Pages extend the frame; a fragment starts with `_`, names its parameters first, and has one root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.config import ROOT

TEMPLATES = ROOT / "templates"
EVERY = sorted(path for path in TEMPLATES.rglob("*.html"))
PARTS = [path for path in EVERY if path.name.startswith("_")]
PAGES = [path for path in EVERY if not path.name.startswith("_") and path.parent.name != "macros"]
VOID = {"input", "meta", "link", "br", "hr", "img", "path", "circle", "rect"}


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(TEMPLATES))) for path in paths]


def without_jinja(text: str) -> str:
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "x", text, flags=re.DOTALL)
    return re.sub(r"\{%.*?%\}", " ", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", named(EVERY))
def test_it_opens_with_a_comment_that_names_its_parameters(path: Path) -> None:
    first = path.read_text("utf-8")
    assert first.startswith("{#"), path
    assert len(first[: first.index("#}")]) > 20


@pytest.mark.parametrize("path", named(PARTS))
def test_a_fragment_has_one_root_with_an_id(path: Path) -> None:
    depth, roots = 0, []
    for closing, name, attributes in re.findall(r"<(/?)([a-z][a-z0-9]*)([^>]*)>", without_jinja(path.read_text())):
        if closing:
            depth -= 1
            continue
        if depth == 0:
            roots.append(attributes)
        if name not in VOID and not attributes.rstrip().endswith("/"):
            depth += 1
    assert depth == 0, f"{path}: tags do not match"
    assert len(roots) == 1, f"{path}: {len(roots)} roots"
    assert 'id="' in roots[0], path


@pytest.mark.parametrize("path", named(PAGES))
def test_a_page_extends_the_frame(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.name in ("base.html", "bare.html"):
        assert "<!doctype html>" in text
    else:
        assert '{% extends "base.html" %}' in text
        assert "{% block title %}" in text


@pytest.mark.parametrize("path", named(EVERY))
def test_nothing_is_inline_and_no_value_escapes_escaping(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|hx-vals=.js:|<script(?![^>]*src=)", text), path
    safe = re.findall(r"\{\{[^}]*\|\s*safe[^}]*\}\}", text)
    assert not safe or path.name == "icons.html", path


@pytest.mark.parametrize("path", named(EVERY))
def test_every_included_template_exists(path: Path) -> None:
    for name in re.findall(r'\{%-?\s*(?:include|extends|from|import)\s+"([^"]+)"', path.read_text("utf-8")):
        assert (TEMPLATES / name).exists(), f"{path} names {name}"


def test_no_style_or_script_names_a_colour_outside_the_tokens() -> None:
    for sheet in (ROOT / "static" / "css").glob("*.css"):
        if sheet.name in ("tokens.css", "print.css"):
            continue
        assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(", sheet.read_text("utf-8")), sheet.name
