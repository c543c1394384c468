"""What an audit consists of, and how it is cut into tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Unit:
    """What keyspill scans as one: a target, or repositories that share objects."""

    name: str
    """Identifies it; the names of its targets, one a line."""
    size: int
    """About how many bytes must be read to scan it; 0 if that is not known before it is cloned."""

    @property
    def key(self) -> str:
        """What keyspill begins the names of its result files with."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:32]


def pack(units: Iterable[Unit], bytes_per_task: int, units_per_task: int) -> list[tuple[Unit, ...]]:
    """Cut units into packs: large units alone and first, small ones together."""
    packs: list[tuple[Unit, ...]] = []
    current: list[Unit] = []
    size = 0
    for unit in sorted(units, key=lambda unit: (-unit.size, unit.name)):
        if current and (size + unit.size > bytes_per_task or len(current) >= units_per_task):
            packs.append(tuple(current))
            current, size = [], 0
        current.append(unit)
        size += unit.size
    if current:
        packs.append(tuple(current))
    return packs
