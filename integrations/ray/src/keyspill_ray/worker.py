"""What runs on the cluster: keyspill, on some units."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# What keyspill says when the work is done.
DONE = 0

# How often a task is looked at, in seconds.
POLL = 0.25

# prctl(2): the signal that a process gets when the thread that started it ends.
PR_SET_PDEATHSIG = 1
# Loaded once: between fork and exec as little as possible is done.
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Settings:
    """What is the same for all tasks."""

    keyspill: str
    """The program, as every node finds it."""
    targets: tuple[str, ...]
    """The whole list of targets: units are found in it as on the driver."""
    options: tuple[str, ...]
    """Further arguments of `keyspill audit`."""
    files: tuple[tuple[str, bytes], ...]
    """Files that arguments name, such as a configuration: the argument before, and the content."""
    clones: bool
    """Whether remote repositories are cloned, to a temporary folder of the node."""
    timeout: float
    """Seconds that a task may take."""
    memory: int
    """Bytes of memory that a task may take, files that are mapped aside."""
    threads: int
    """The processors that a task has."""


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    results: dict[str, bytes]
    """Result files, by name."""
    error: str | None
    """Why not everything was done, if it was not."""


def scan(names: tuple[str, ...], known: dict[str, bytes], settings: Settings) -> Outcome:
    """Audit some units, given the results of earlier audits of them."""
    with tempfile.TemporaryDirectory(prefix="keyspill-ray-") as name:
        directory = Path(name)
        results = directory / "state" / "units"
        results.mkdir(parents=True)
        for file, content in known.items():
            (results / file).write_bytes(content)
        (directory / "names").write_text(json.dumps(names))
        (directory / "targets").write_text("".join(f"{target}\n" for target in settings.targets))
        command = [
            settings.keyspill, "audit", "--worker", "--quiet", "--threads", str(settings.threads),
            "--from", str(directory / "targets"), "--units", str(directory / "names"),
            "--state", str(directory / "state"), *settings.options,
        ]  # fmt: skip
        for number, (option, content) in enumerate(settings.files):
            file_given = directory / f"file{number}"
            file_given.write_bytes(content)
            command += [option, str(file_given)]
        if settings.clones:
            command += ["--clone", str(directory / "clones")]
        code, words = run(command, settings)
        found = {file.name: file.read_bytes() for file in results.glob("*.result")}
        return Outcome(found, None if code == DONE else words or f"keyspill ended with {code}")


def run(command: list[str], settings: Settings) -> tuple[int, str]:
    """Run keyspill, and end it with all that it started when its time is over or its memory is used up."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(settings.threads)}
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        # Ray ends workers without a word, and must not leave keyspill behind. A thread that is not the main one may end
        # before what it started.
        preexec_fn=partial(end_with, os.getpid()) if LIBC and is_main_thread() else None,
    )
    until = time.monotonic() + settings.timeout
    try:
        while True:
            try:
                _, words = process.communicate(timeout=POLL)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() >= until:
                    return ended(process), f"it took longer than {settings.timeout:g} s"
                if memory_of(process.pid) > settings.memory:
                    return ended(process), f"it needed more than {settings.memory >> 20} MiB of memory"
    except BaseException:
        # The task was cancelled.
        ended(process)
        raise
    lines = words.decode(errors="replace").strip().splitlines()
    return process.returncode, lines[-1] if lines else ""


def ended(process: subprocess.Popen[bytes]) -> int:
    """End a program with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return -signal.SIGKILL


def is_main_thread() -> bool:
    """Whether the thread that asks lives as long as its process."""
    return threading.current_thread() is threading.main_thread()


def end_with(parent: int) -> None:
    """Have the kernel end this process with the one that started it."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It has ended already.
        os._exit(1)


def memory_of(session: int) -> int:
    """Bytes of memory that the programs of a session hold, files that are mapped aside; 0 where nobody tells."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # Source: proc_pid_stat(5); a name may have blanks and brackets in it.
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[3]) != session:
                continue
            resident, shared = (int(pages) for pages in (entry / "statm").read_text().split()[1:3])
        except (OSError, ValueError, IndexError):
            # It has ended meanwhile.
            continue
        total += (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return total
