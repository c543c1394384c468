"""Has keyspill verify keys against moto, which checks ids and signatures as AWS does.

    python tests/verify/moto.py KEYSPILL

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
        return check(keyspill, url)
    finally:
        server.kill()


def check(keyspill: Path, url: str) -> int:
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
                verify(["active"], owner, "--verify-as", "owner", "--assume-role", role.replace(ACCOUNT, "{account}")),
                {"active": "active"},
            ),
        ]
    failures = [f"expected {expected}, not {found}" for found, expected in outcomes if found != expected]
    print("\n".join(failures) or f"{len(outcomes)} answers of moto are understood")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
