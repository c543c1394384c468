"""The command `keyspill-ray`."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

import ray

from keyspill_ray.driver import Audit


def parse(arguments: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Parse arguments; those after `--` are for the report."""
    given = sys.argv[1:] if arguments is None else arguments
    own, report = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    parser = argparse.ArgumentParser(
        prog="keyspill-ray",
        description="Audit repositories with keyspill on a Ray cluster.",
        epilog="Arguments after `--` are for the report, as of `keyspill merge`: -- -f html -o audit.html",
    )
    parser.add_argument("targets", nargs="*", help="paths that every node has, or URLs of repositories")
    parser.add_argument("--from", dest="lists", action="append", default=[], metavar="FILE", type=Path,
                        help="a list of targets, one a line")  # fmt: skip
    parser.add_argument("--state", required=True, type=Path, help="folder of the driver that keeps results")
    parser.add_argument("--address", default="auto", help="address of the cluster (default: %(default)s)")
    parser.add_argument("--keyspill", default="keyspill", help="the program, as every node finds it")
    parser.add_argument("--clone", action="store_true", help="clone URLs, to temporary folders of the nodes")
    parser.add_argument("--config", type=Path, help="keyspill.toml; it is sent to the nodes")
    parser.add_argument("--rules", type=Path, help="a file of rules; it is sent to the nodes")
    parser.add_argument("--gitleaks-config", type=Path, help="a configuration of gitleaks; it is sent to the nodes")
    parser.add_argument("--fingerprint-key", type=Path, help="the key of fingerprints; it is sent to the nodes")
    parser.add_argument("--now", help="the moment as of which ages are computed (default: now)")
    parser.add_argument("--cpus", type=int, default=1, help="processors of a task (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB",
                        help="memory that a task may take, and that is reserved (default: %(default)s)")  # fmt: skip
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS",
                        help="how long a task may take (default: %(default)s)")  # fmt: skip
    parser.add_argument("--retries", type=int, default=3, metavar="N",
                        help="how often a task runs again after its node was lost (default: %(default)s)")  # fmt: skip
    options = parser.parse_args(own)
    if not options.targets and not options.lists:
        parser.error("there is nothing to audit: give targets, or --from a list of them")
    return options, report


def audit_of(options: argparse.Namespace) -> Audit:
    """Make the audit that was asked for."""
    targets = list(options.targets)
    for file in options.lists:
        lines = (line.split(" #")[0].strip() for line in file.read_text().splitlines())
        targets += [line for line in lines if line and not line.startswith("#")]
    files = [
        ("--config", options.config),
        ("--rules", options.rules),
        ("--gitleaks-config", options.gitleaks_config),
        ("--fingerprint-key", options.fingerprint_key),
    ]
    # A driver that is started again the same day goes on with the same audit.
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return Audit(
        targets=tuple(sorted(set(targets))),
        state=options.state,
        now=options.now or today,
        keyspill=options.keyspill,
        files=tuple((option, path.read_bytes()) for option, path in files if path),
        clones=options.clone,
        cpus=options.cpus,
        memory=options.memory << 20,
        timeout=options.timeout,
        retries=options.retries,
        say=lambda line: print(line, file=sys.stderr),
    )


def main() -> None:
    """Audit and report; exit as keyspill does."""
    options, report = parse()
    audit = audit_of(options)
    ray.init(address=options.address, log_to_driver=False)
    try:
        summary = audit.run()
    finally:
        ray.shutdown()
    for failure in summary.failures:
        print(f"keyspill-ray: not scanned: {failure.unit}: {failure.reason}", file=sys.stderr)
    sys.exit(audit.merge(report))
