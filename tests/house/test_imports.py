"""Imports point one way: routes know workflows, workflows know no Flask and no vendor, the sandbox knows none of us."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from portal.config import ROOT

PORTAL = ROOT / "portal"
GROUND = {"portal.clock", "portal.config", "portal.widget"}

# Folder -> what its files may import of ours, by prefix. Whatever is not named here is refused.
MAY = {
    "routes": {"portal.web", "portal.workflows", "portal.models", "portal.parts", "portal.db", "portal.providers.base"}
    | {"portal.routes"},
    "web": {"portal.web", "portal.models", "portal.db", "portal.parts", "portal.live"},
    "workflows": {"portal.workflows", "portal.models", "portal.providers.base", "portal.vault", "portal.durable"}
    | {"portal.db", "portal.parts", "portal.live", "portal.residue.apart"},  # apart: it looks in another process
    "providers": {"portal.providers"},
    "models": {"portal.models", "portal.db"},
    "sandbox": {"portal.sandbox"},
}
# Folder -> foreign packages that its files must not import.
MUST_NOT = {
    "workflows": {"flask", "flask_login", "werkzeug", "requests", "authlib"},
    "providers": {"flask", "sqlalchemy", "flask_sqlalchemy"},
    "models": {"flask", "flask_login", "requests", "authlib"},
    "routes": {"requests", "authlib"},
}
MAKE_APPLICATIONS = {"portal/app.py", "portal/cli.py", "portal/demo.py"}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, `from x import y` as `x.y` where y is a module."""
    package = path.relative_to(ROOT).with_suffix("").parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package[: -node.level] if node.level else ()
            base = ".".join((*parents, *filter(None, (node.module,))))
            found |= {target(base, alias.name) for alias in node.names}
    return found


def target(base: str, name: str) -> str:
    """`portal.web` and `notices` is the module portal.web.notices; `portal.db` and `db` is portal.db."""
    folder = ROOT.joinpath(*base.split("."))
    if (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists():
        return f"{base}.{name}"
    return base


def within(module: str, prefixes: set[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


@pytest.mark.parametrize("folder", MAY)
def test_imports_point_one_way(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in (PORTAL / folder).rglob("*.py")
        for module in sorted(imported(path))
        if within(module, {"portal"}) and not within(module, MAY[folder] | GROUND)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", MUST_NOT)
def test_foreign_packages_stay_where_they_belong(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in (PORTAL / folder).rglob("*.py")
        for module in sorted(imported(path))
        if module.split(".")[0] in MUST_NOT[folder]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_sandbox_knows_nothing_of_ours() -> None:
    for path in (PORTAL / "sandbox").rglob("*.py"):
        assert not within("portal.config", imported(path)), path
        assert not {each for each in imported(path) if within(each, GROUND)}, path


def test_only_the_demo_knows_the_sandbox() -> None:
    for path in PORTAL.rglob("*.py"):
        if "sandbox" in path.relative_to(PORTAL).parts or str(path.relative_to(ROOT)) in MAKE_APPLICATIONS:
            continue
        assert not {each for each in imported(path) if within(each, {"portal.sandbox"})}, path


def test_only_the_registry_knows_a_vendor() -> None:
    vendors = {f"portal.providers.{path.name}" for path in (PORTAL / "providers").iterdir() if path.is_dir()}
    for path in PORTAL.rglob("*.py"):
        if "providers" in path.relative_to(PORTAL).parts:
            continue
        assert not {each for each in imported(path) if within(each, vendors)}, path


def test_only_one_file_reads_the_environment_and_one_the_clock() -> None:
    for path in PORTAL.rglob("*.py"):
        here = str(path.relative_to(PORTAL))
        text = path.read_text("utf-8")
        if not here.startswith(("sandbox/", "migrations/", "demo.py", "app.py", "cli.py", "durable.py", "config.py")):
            assert "os.environ" not in text, here
        if not here.startswith(("sandbox/", "clock.py", "providers/", "demo.py", "durable.py")):
            assert "datetime.now(" not in text, here
            assert "time.time(" not in text, here
