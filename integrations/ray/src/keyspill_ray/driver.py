"""The driver: deals units to the cluster, collects results in a folder, and has keyspill join them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from keyspill_ray.units import Unit, pack
from keyspill_ray.worker import Outcome, Settings, scan


@dataclass(frozen=True)
class Failure:
    """A unit that could not be scanned."""

    unit: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """What became of an audit."""

    units: int
    """How many there are."""
    skipped: int
    """How many were done before this driver was started."""
    failures: tuple[Failure, ...]
    """Units without a result. The inventory lists them as not scanned."""


@dataclass
class Audit:
    """An audit on the cluster that Ray is connected to."""

    targets: tuple[str, ...]
    state: Path
    now: str
    """The moment as of which ages are computed, the same for all tasks."""
    keyspill: str = "keyspill"
    options: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    clones: bool = False
    cpus: int = 1
    """Processors of a task."""
    memory: int = 1 << 30
    """Bytes that Ray reserves for a task, and that it may take, files that are mapped aside."""
    timeout: float = 3600
    """Seconds that a task may take."""
    retries: int = 3
    """How often a task is run again after its node or process was lost."""
    bytes_per_task: int = 256 << 20
    units_per_task: int = 64
    say: Callable[[str], None] = field(default=print)

    def run(self) -> Summary:
        """Scan all units that have no result yet."""
        units = self.plan()
        folder = self.state / "units"
        folder.mkdir(parents=True, exist_ok=True)
        self.forget_others(units)
        write_whole(self.state / "units.json", json.dumps([unit.name for unit in units]).encode())
        journal = Journal(self.state / "ray.jsonl", self.identity())
        left = [unit for unit in units if unit.name not in journal.done]
        settings = Settings(
            self.keyspill,
            self.targets,
            ("--now", self.now, *self.options),
            self.files,
            self.clones,
            self.timeout,
            self.memory,
            self.cpus,
        )
        task = ray.remote(num_cpus=self.cpus, memory=self.memory, max_retries=self.retries)(scan)
        failures: list[Failure] = []
        waiting = deque(pack(left, self.bytes_per_task, self.units_per_task))
        running: dict[Any, tuple[Unit, ...]] = {}
        # More than the cluster can run at once, so that no node waits for the driver.
        ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)) // self.cpus)
        while waiting or running:
            while waiting and len(running) < ahead:
                some = waiting.popleft()
                names = tuple(unit.name for unit in some)
                running[task.remote(names, self.known(some), settings)] = some
            ready, _ = ray.wait(list(running), num_returns=1)
            some = running.pop(ready[0])
            try:
                outcome = ray.get(ready[0])
            except RayError as error:
                outcome = Outcome({}, f"{type(error).__name__}: Ray could not finish it")
            missing = [unit for unit in some if not self.is_new(unit, outcome)] if outcome.error else []
            self.store([unit for unit in some if unit not in missing], outcome)
            journal.note(unit.name for unit in some if unit not in missing)
            if missing and len(some) > 1:
                # One of them is too much: each alone, so that the others are done.
                waiting.extendleft((unit,) for unit in missing)
            else:
                failures += [Failure(unit.name, outcome.error or "") for unit in missing]
                # What was found before must not pass for what is there.
                self.store(missing, Outcome({}, None))
            self.say(f"{len(journal.done)} of {len(units)} units, {len(failures)} failed")
        return Summary(len(units), len(units) - len(left), tuple(failures))

    def plan(self) -> list[Unit]:
        """The units that keyspill finds in the targets."""
        with tempfile.NamedTemporaryFile("w", suffix=".targets") as listed:
            listed.write("".join(f"{target}\n" for target in self.targets))
            listed.flush()
            command = [self.keyspill, "audit", "--plan", "--from", listed.name]
            done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace").strip() or "keyspill audit --plan failed")
        return [Unit(unit["name"], unit["bytes"]) for unit in json.loads(done.stdout)]

    def identity(self) -> str:
        """What makes this audit another than that before: a driver that is started again goes on with the same."""
        contents = [content.hex() for _, content in self.files]
        return json.dumps([self.now, self.targets, self.options, contents])

    def known(self, units: Sequence[Unit]) -> dict[str, bytes]:
        """Results of earlier audits, which keyspill uses where nothing changed."""
        files = (file for unit in units for file in (self.state / "units").glob(f"{unit.key}-*.result"))
        return {file.name: file.read_bytes() for file in files}

    def is_new(self, unit: Unit, outcome: Outcome) -> bool:
        """Whether a task that did not end well left a result of a unit that was not there before."""
        own = {name: content for name, content in outcome.results.items() if name.startswith(unit.key)}
        return any(self.known((unit,)).get(name) != content for name, content in own.items())

    def store(self, units: Sequence[Unit], outcome: Outcome) -> None:
        """Keep the results of units, each as a whole or not at all, and remove those that they replace."""
        folder = self.state / "units"
        for unit in units:
            own = {name: content for name, content in outcome.results.items() if name.startswith(unit.key)}
            for name, content in own.items():
                write_whole(folder / name, content)
            for file in folder.glob(f"{unit.key}-*.result"):
                if file.name not in own:
                    file.unlink()

    def forget_others(self, units: Sequence[Unit]) -> None:
        """Remove the results of units that are not audited any more."""
        keys = {unit.key for unit in units}
        for file in (self.state / "units").glob("*-*.result"):
            if file.name.split("-")[0] not in keys:
                file.unlink()

    def merge(self, arguments: list[str]) -> int:
        """Have keyspill join the results; returns its exit code."""
        known = ["--known-keys", str(self.state / "keys.json")]
        command = [self.keyspill, "merge", str(self.state), "--now", self.now, *known, *arguments]
        return subprocess.run(command, check=False).returncode


class Journal:
    """The units that are done, so that a driver that was ended goes on where it was."""

    def __init__(self, path: Path, identity: str) -> None:
        self.path = path
        self.done: set[str] = set()
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and lines[0] == identity:
            for line in lines[1:]:
                try:
                    self.done.update(json.loads(line))
                except ValueError:
                    # The last line of a driver that was killed.
                    break
            # Without that line.
            whole = [identity, json.dumps(sorted(self.done))]
        else:
            whole = [identity]
        write_whole(path, "".join(f"{line}\n" for line in whole).encode())

    def note(self, names: Iterable[str]) -> None:
        """Enter units that are done."""
        new = list(names)
        self.done.update(new)
        with self.path.open("a") as file:
            file.write(json.dumps(new) + "\n")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole, or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)
