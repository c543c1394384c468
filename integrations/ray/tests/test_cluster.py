"""Audits on a real cluster of two nodes: what is found is what one machine finds, whatever happens."""

from __future__ import annotations

import json
import os
import random
import stat
import string
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from keyspill_ray import Audit
from keyspill_ray.units import Unit, pack

KEYSPILL = os.environ["KEYSPILL"]
NOW = "2026-06-01"
COUNT = 24


def key(chance: random.Random) -> tuple[str, str]:
    key_id = "AKIA" + "".join(chance.choices(string.ascii_uppercase + "234567", k=16))
    return key_id, "".join(chance.choices(string.ascii_letters + string.digits + "+/", k=40))


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("org")
    chance = random.Random(15)
    shared = [key(chance) for _ in range(5)]
    for number in range(COUNT):
        path = root / f"r{number:02}.git"
        subprocess.run(["git", "init", "-q", "--bare", path], check=True)
        text = "".join(f"line {chance.random()}\n" for _ in range(500))
        if number % 3 == 0:
            key_id, secret = chance.choice(shared)
            text += f"AWS_ACCESS_KEY_ID={key_id}\nAWS_SECRET_ACCESS_KEY={secret}\n"
        commit = f"commit refs/heads/main\ncommitter Ann <ann@corp.example> {1700000000 + number} +0000\ndata 1\nx\n"
        commit += f"M 100644 inline app.env\ndata {len(text)}\n{text}\n"
        subprocess.run(["git", "fast-import", "--quiet"], cwd=path, input=commit.encode(), check=True)
    return root


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # The head only coordinates.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def audit(organisation: Path, state: Path, **settings: object) -> Audit:
    usual: dict[str, object] = {"keyspill": KEYSPILL, "memory": 256 << 20, "units_per_task": 4, "say": lambda _: None}
    return Audit(targets=(str(organisation),), state=state, now=NOW, **{**usual, **settings})  # type: ignore[arg-type]


def merged(run: Audit, out: Path) -> bytes:
    code = run.merge(["--format", "json", "--output", str(out), "--quiet"])
    assert code in (1, 2)
    return out.read_bytes()


@pytest.fixture(scope="session")
def expected(organisation: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("one")
    out = directory / "out.json"
    state = str(directory / "state")
    command = [KEYSPILL, "audit", str(organisation), "--now", NOW, "--state", state, "-f", "json", "-o", str(out)]
    subprocess.run(command, check=False)
    report = json.loads(out.read_bytes())
    assert len(report["keys"]) > 2
    return out.read_bytes()


def slow(tmp_path: Path, script: str) -> str:
    """A program that does something before keyspill."""
    path = tmp_path / "slow-keyspill"
    path.write_text(f"#!/bin/sh\n{script}\nexec '{KEYSPILL}' \"$@\"\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_two_nodes_find_what_one_machine_finds(
    organisation: Path, cluster: Cluster, expected: bytes, tmp_path: Path
) -> None:
    run = audit(organisation, tmp_path / "state")
    summary = run.run()
    assert (summary.units, summary.failures) == (COUNT, ())
    assert merged(run, tmp_path / "out.json") == expected
    # A driver that is started again has nothing to do.
    again = audit(organisation, tmp_path / "state").run()
    assert again.skipped == COUNT


def test_a_node_that_is_lost_is_made_up_for(
    organisation: Path, cluster: Cluster, expected: bytes, tmp_path: Path
) -> None:
    program = slow(tmp_path, 'case "$*" in *--units*) sleep 0.5;; esac')
    run = audit(organisation, tmp_path / "state", keyspill=program, units_per_task=2)
    lost = next(iter(cluster.worker_nodes))
    removed = threading.Event()

    def remove() -> None:
        folder = tmp_path / "state" / "units"
        while not folder.exists() or len(list(folder.iterdir())) < 4:
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)
        removed.set()

    thread = threading.Thread(target=remove)
    thread.start()
    summary = run.run()
    thread.join()
    assert removed.is_set()
    assert summary.failures == ()
    assert merged(run, tmp_path / "out.json") == expected


def test_a_unit_that_takes_too_long_is_listed_and_the_rest_goes_on(
    organisation: Path, cluster: Cluster, tmp_path: Path
) -> None:
    # It was no trouble the time before; that must not pass for what is there now.
    before = audit(organisation, tmp_path / "state")
    before.now = "2026-05-01"
    assert before.run().failures == ()
    program = slow(tmp_path, 'for word; do case "$word" in */names) grep -q r03.git "$word" && sleep 60;; esac; done')
    run = audit(organisation, tmp_path / "state", keyspill=program, timeout=3.0)
    summary = run.run()
    assert [Path(failure.unit).name for failure in summary.failures] == ["r03.git"]
    assert "longer than 3 s" in summary.failures[0].reason
    report = json.loads(merged(run, tmp_path / "out.json"))
    assert report["complete"] is False
    errors = [unit["targets"][0]["name"] for unit in report["units"] if "error" in unit]
    assert [Path(name).name for name in errors] == ["r03.git"]


def test_a_unit_that_takes_too_much_memory_is_listed_and_the_rest_goes_on(
    organisation: Path, cluster: Cluster, tmp_path: Path
) -> None:
    hog = "import time; x = [b'y' * (100 << 20) for _ in range(5)]; time.sleep(60)"
    program = slow(
        tmp_path,
        f'for word; do case "$word" in */names) grep -q r03.git "$word" && {sys.executable} -c "{hog}";; esac; done',
    )
    run = audit(organisation, tmp_path / "state", keyspill=program)
    summary = run.run()
    assert [Path(failure.unit).name for failure in summary.failures] == ["r03.git"]
    assert "more than 256 MiB" in summary.failures[0].reason
    assert json.loads(merged(run, tmp_path / "out.json"))["complete"] is False


def test_keyspill_ends_with_its_worker(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"echo $$ > {mark}; exec sleep 60"
    code = (
        "from keyspill_ray.worker import Settings, run\n"
        f"run(['sh', '-c', {script!r}], Settings('sh', (), (), (), False, 60, 1 << 30, 1))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    while not mark.exists() or not mark.read_text():
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    left = Path("/proc") / mark.read_text().strip()
    deadline = time.monotonic() + 10
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left.exists()


def test_a_driver_that_is_killed_goes_on(organisation: Path, cluster: Cluster, expected: bytes, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    done: list[str] = []

    def say(line: str) -> None:
        done.append(line)
        if len(done) == 3:
            raise KilledError

    with pytest.raises(KilledError):
        audit(organisation, tmp_path / "state", say=say).run()
    # It was writing when it was killed.
    journal = tmp_path / "state" / "ray.jsonl"
    journal.write_text(journal.read_text() + '["half of a na')
    run = audit(organisation, tmp_path / "state")
    summary = run.run()
    assert 0 < summary.skipped < COUNT
    assert merged(run, tmp_path / "out.json") == expected


def test_packs_are_dealt_by_size() -> None:
    units = [Unit("a", 5), Unit("b", 100), Unit("c", 4), Unit("d", 3), Unit("e", 0), Unit("f", 0)]
    packs = [[unit.name for unit in some] for some in pack(units, bytes_per_task=9, units_per_task=3)]
    assert packs == [["b"], ["a", "c"], ["d", "e", "f"]]
