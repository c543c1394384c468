"""Has keyspill verify keys against moto, which checks ids and signatures as AWS does, and runs the plans for them.

    python tests/verify/against_moto.py KEYSPILL

Needs `tests/verify/requirements.txt`. Exits with 1 if an answer is another than expected.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

ACCOUNT = "111122223333"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def start(free_actions: int) -> tuple[subprocess.Popen, str]:
    """A server that lets so many actions pass unsigned."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"INITIAL_NO_AUTH_ACTION_COUNT": str(free_actions), "MOTO_ACCOUNT_ID": ACCOUNT}
    server = subprocess.Popen(
        [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise SystemExit("moto does not start")


def main() -> int:
    keyspill = Path(sys.argv[1]).resolve()
    server, url = start(free_actions=12)
    try:
        failures = check(keyspill, url)
        print("\n".join(failures) or "moto's answers are understood, and the commands of the plans work")
        return 1 if failures else 0
    finally:
        server.kill()


def check(keyspill: Path, url: str) -> list[str]:
    iam = boto3.client("iam", "us-east-1", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="y")

    def key(user: str) -> dict:
        return iam.create_access_key(UserName=user)["AccessKey"]

    for user in ("admin", "ann"):
        iam.create_user(UserName=user)
    for user in ("admin", "ann"):
        iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    iam.create_user(UserName="bob")
    role = iam.create_role(RoleName="audit", AssumeRolePolicyDocument=json.dumps(EVERYTHING))["Role"]["Arn"]
    iam.put_role_policy(RoleName="audit", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    admin, active, inactive, gone = key("admin"), key("ann"), key("ann"), key("bob")
    # From here on, moto checks signatures.
    iam.update_access_key(UserName="ann", AccessKeyId=inactive["AccessKeyId"], Status="Inactive")
    iam = boto3.client(
        "iam",
        "us-east-1",
        endpoint_url=url,
        aws_access_key_id=admin["AccessKeyId"],
        aws_secret_access_key=admin["SecretAccessKey"],
    )
    iam.delete_access_key(UserName="bob", AccessKeyId=gone["AccessKeyId"])
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "SSL_CERT_FILE"
    } | {"NO_PROXY": "127.0.0.1"}
    owner = environment | {
        "AWS_ACCESS_KEY_ID": admin["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": admin["SecretAccessKey"],
    }
    with tempfile.TemporaryDirectory() as folder:
        wrong = active | {"SecretAccessKey": active["SecretAccessKey"][::-1]}
        files = {"active": active, "inactive": inactive, "gone": gone, "wrong": wrong}
        for name, pair in files.items():
            text = f"aws_access_key_id = {pair['AccessKeyId']}\naws_secret_access_key = {pair['SecretAccessKey']}\n"
            (Path(folder) / name).write_text(text)

        def verify(names: list[str], environment: dict, *arguments: str) -> dict[str, str]:
            run = subprocess.run(
                [keyspill, "scan", *names, "--verify=yes", "--endpoint-url", url, "-f", "json", *arguments],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
            )
            if not run.stdout:
                return {"error": run.stderr}
            findings = json.loads(run.stdout)["findings"]
            keys = [found for found in findings if "judgement" not in found and "secret" in found]
            return {found["path"]: found.get("verification", {}).get("status") for found in keys}

        outcomes = [
            # moto accepts deactivated keys.
            (verify(["active", "gone"], environment, "--verify-foreign"), {"active": "active", "gone": "inactive"}),
            (verify(["wrong"], environment, "--verify-foreign"), {"wrong": "wrong-secret"}),
            (
                verify(["active", "inactive", "gone"], owner, "--verify-as", "owner"),
                {"active": "active", "inactive": "inactive", "gone": "inactive"},
            ),
            (
                verify(
                    ["active"],
                    owner,
                    "--verify-as",
                    "owner",
                    "--verify-foreign",
                    "--assume-role",
                    role.replace(ACCOUNT, "{account}"),
                ),
                {"active": "active"},
            ),
        ]
        failures = [f"expected {expected}, not {found}" for found, expected in outcomes if found != expected]
        failures += check_audit(keyspill, folder, owner, url, files)
        failures += check_cache(keyspill, folder, owner, url, role)
        # There is room for a second key.
        iam.delete_access_key(UserName="ann", AccessKeyId=inactive["AccessKeyId"])
        failures += check_plans(keyspill, folder, owner, url, active)
        died = verify(["active"], environment, "--verify-foreign")
        if died != {"active": "inactive"}:
            failures.append(f"the key lives after its plan: {died}")
    return failures


def check_audit(keyspill: Path, folder: str, owner: dict, url: str, files: dict) -> list[str]:
    """Audits the folder twice: the second time, the answers are known."""
    command = [keyspill, "audit", "active", "inactive", "gone", "--state", "state"]
    ask = [*command, "--verify=yes", "--endpoint-url", url]
    expected = {"active": "active", "inactive": "inactive", "gone": "inactive"}
    expected = {files[name]["AccessKeyId"]: status for name, status in expected.items()}
    failures = []
    for arguments in (ask, command):
        run = subprocess.run([*arguments, "-f", "json"], cwd=folder, env=owner, capture_output=True, text=True)
        keys = json.loads(run.stdout)["keys"] if run.stdout else []
        found = {key["id"]: key.get("verification", {}).get("status") for key in keys}
        if found != expected:
            failures.append(f"the audit: expected {expected}, not {found}: {run.stderr}")
    return failures


def check_cache(keyspill: Path, folder: str, owner: dict, url: str, role: str) -> list[str]:
    """Has the AWS CLI cache a role's session, and looks for it: it works for an hour."""
    home = Path(folder) / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text(
        f"[profile audit]\nrole_arn = {role}\ncredential_source = Environment\nregion = us-east-1\n"
    )
    aws = Path(sys.executable).parent / "aws"
    arguments = [aws, "sts", "get-caller-identity", "--profile", "audit", "--endpoint-url", url]
    subprocess.run(arguments, env=owner | {"HOME": str(home), "AWS_ENDPOINT_URL": url}, capture_output=True, check=True)
    caches = list((home / ".aws" / "cli" / "cache").iterdir())
    found = []
    for now in ([], ["--now", "2099-01-01"]):
        run = subprocess.run([keyspill, "scan", *caches, "-f", "json", *now], capture_output=True)
        findings = json.loads(run.stdout)["findings"]
        keys = [key for key in findings if key["rule"] == "aws-temporary-key" and "secret" in key]
        found += [(key["severity"], "expires" in key) for key in keys]
    expected = [("error", True), ("note", True)]
    failures = [] if found == expected else [f"the AWS CLI's cache: {found}"]
    # A token for a cluster is a signed URL, and nobody is asked for it.
    arguments = [aws, "eks", "get-token", "--cluster-name", "c", "--region", "us-east-1"]
    (home / "token.json").write_bytes(subprocess.run(arguments, env=owner, capture_output=True, check=True).stdout)
    run = subprocess.run([keyspill, "scan", home / "token.json", "-f", "json"], capture_output=True)
    tokens = [key for key in json.loads(run.stdout)["findings"] if key["rule"] == "aws-eks-token"]
    if [(key["severity"], "expires" in key) for key in tokens] != [("warning", True)]:
        failures.append(f"the AWS CLI's token for a cluster: {tokens}")
    return failures


def check_plans(keyspill: Path, folder: str, owner: dict, url: str, active: dict) -> list[str]:
    """Runs the commands of the plans for keys of each kind, in order, in one shell for each."""
    account = ACCOUNT
    temporary = "ASIA" + active["AccessKeyId"][4:]
    secret = active["SecretAccessKey"]
    password = "x" * 20 + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4"
    cases = {
        "user.env": f"aws_access_key_id = {active['AccessKeyId']}\naws_secret_access_key = {secret}\n",
        "session.env": f"aws_access_key_id = {temporary}\naws_secret_access_key = {secret[::-1]}\n",
        "rootkey.csv": f"AWSAccessKeyId={temporary.replace('ASIA', 'AKIA')[:-1]}7\nAWSSecretKey={secret[1:] + 'x'}\n",
        "git.txt": f"https://ann-at-{account}:{password}@git-codecommit.us-east-1.amazonaws.com/v1/repos/r\n",
    }
    # The loops over regions would take minutes.
    shim = Path(folder) / "bin" / "aws"
    shim.parent.mkdir()
    real = Path(sys.executable).parent / "aws"
    shim.write_text(f'#!/bin/sh\ncase "$*" in *describe-regions*) echo us-east-1;; *) exec {real} "$@";; esac\n')
    shim.chmod(0o755)
    environment = owner | {
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        # What a person would fill in.
        "ROLE_NAME": "audit",
        "CREDENTIAL_ID": "ACCA" + "1" * 16,
    }
    failures, kinds = [], set()
    for name, text in cases.items():
        (Path(folder) / name).write_text(text)
        report = subprocess.run([keyspill, "scan", name, "-f", "json"], cwd=folder, capture_output=True)
        plan = subprocess.run([keyspill, "plan", "-f", "json"], input=report.stdout, capture_output=True)
        sections = json.loads(plan.stdout)["sections"]
        if len(sections) != 1:
            failures.append(f"{name}: {len(sections)} sections")
            continue
        kinds.add(sections[0]["what"])
        commands = [command for step in sections[0]["steps"] for command in step.get("commands", [])]
        if name == "git.txt":
            commands.insert(0, "USER_NAME=ann")
        script = "\n".join(f"{command}\necho END $? >&2" for command in commands)
        run = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
        ends = [line for line in run.stderr.splitlines() if line.startswith("END")]
        if len(ends) != len(commands):
            failures.append(f"{name}: {len(ends)} of {len(commands)} commands ended: {run.stderr}")
        mistakes = (
            "usage:",
            "Unknown options",
            "Parameter validation",
            "Unknown parameter",
            "syntax error near",
            "command not found",
        )
        for words in mistakes:
            if words in run.stderr:
                failures.append(f"{name}: {words}: {run.stderr}")
        # These are moto's to answer; others it lacks, and the AWS CLI has checked how they are written.
        if name == "user.env" and ends[:6] != ["END 0"] * 6:
            failures.append(f"{name}: {ends}: {run.stderr}")
    if len(kinds) != len(cases):
        failures.append(f"kinds: {kinds}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
