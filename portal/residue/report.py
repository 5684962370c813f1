"""What was found, told without telling any secret: place, kind, owner, and the first 12 digits of a SHA-256."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

CLEAN, FOUND, UNREAD, BOUNDED = 0, 1, 2, 3
"""Exit codes. 3: all that was found is a destroyed key, or what it opens, in a write-ahead log not yet recycled."""
KEPT, SHOWN = 20_000, 200  # findings that are kept, and written out for people; the rest is counted

VERDICTS = {
    CLEAN: "Clean: nothing can be opened but what belongs to a living connection.",
    FOUND: "There is something that should not be there.",
    UNREAD: "Nothing was found, but not everything could be read.",
    BOUNDED: "Clean but for the write-ahead log: destroyed keys lie in segments that are not yet recycled.",
}


@dataclass(frozen=True, order=True)
class Finding:
    """Something that should not be there. `bounded`: it depends on a write-ahead log and goes when that is recycled."""

    file: str
    offset: int
    kind: str
    owner: str = ""
    sha256: str = ""
    bounded: bool = False


@dataclass
class Report:
    """The outcome of one look. `fine` counts opened texts of living connections per file and purpose."""

    findings: set[Finding] = field(default_factory=set)
    fine: Counter[tuple[str, str]] = field(default_factory=Counter)
    shut: int = 0
    files: int = 0
    size: int = 0  # bytes
    more: int = 0  # findings beyond those that are kept
    unread: list[tuple[str, str]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def add(self, place: tuple[str, int], kind: str, secret: bytes, *, owner: str = "", bounded: bool = False) -> None:
        """Write down a find. Beyond a limit they are only counted, so that a flood does not fill the memory."""
        if len(self.findings) < KEPT:
            self.findings.add(Finding(*place, kind, owner, fingerprint(secret), bounded))
        else:
            self.more += 1

    def miss(self, name: str, why: str) -> None:
        """Write down what could not be read, once."""
        if (name, why) not in self.unread:
            self.unread.append((name, why))

    def exit_code(self) -> int:
        """0, 1, 2 or 3, the worst first: found, unread, bounded, clean."""
        if any(not each.bounded for each in self.findings):
            return FOUND
        if self.unread:
            return UNREAD
        return BOUNDED if self.findings else CLEAN

    def as_json(self) -> dict[str, Any]:
        """The whole report for programs."""
        return {
            "exit": self.exit_code(),
            "verdict": VERDICTS[self.exit_code()],
            "findings": [asdict(each) for each in sorted(self.findings)],
            "fine": [{"file": file, "purpose": what, "count": n} for (file, what), n in sorted(self.fine.items())],
            "cannot_be_opened": self.shut,
            "more": self.more,
            "read": {"files": self.files, "bytes": self.size},
            "unread": [{"file": file, "why": why} for file, why in self.unread],
            "wal_settings": self.settings,
        }


def fingerprint(secret: bytes) -> str:
    """Enough to tell two secrets apart, too little to be one."""
    return hashlib.sha256(secret).hexdigest()[:12]


def sentences(report: Report, what_bounds: str) -> list[str]:
    """The report for people, line by line."""
    lines = []
    for each in sorted(report.findings)[:SHOWN]:
        owner = f"  owner {each.owner}" if each.owner else ""
        note = "  (write-ahead log)" if each.bounded else ""
        lines.append(f"FOUND   {each.file}:{each.offset}  {each.kind}{owner}  sha256 {each.sha256}{note}")
    if (left := max(0, len(report.findings) - SHOWN) + report.more) > 0:
        lines.append(f"FOUND   {left} more (see --json)")
    lines += [f"UNREAD  {file}: {why}" for file, why in report.unread]
    for file in sorted({file for file, _ in report.fine}):
        told = ", ".join(f"{n} {what}" for (each, what), n in sorted(report.fine.items()) if each == file)
        lines.append(f"fine    {file}: belongs to a living connection: {told}")
    read = f"{report.files} files and tables, {report.size} bytes read"
    lines.append(f"{read}; {report.shut} sealed texts cannot be opened by anything that exists.")
    if any(each.bounded for each in report.findings):
        lines.append(what_bounds)
        lines.append(", ".join(f"{name} = {value or 'empty'}" for name, value in sorted(report.settings.items())))
    return [*lines, VERDICTS[report.exit_code()]]
