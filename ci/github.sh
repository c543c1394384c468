#!/usr/bin/env bash
# Run by action.yml: finds out which commits the event introduces, scans them, writes SARIF and annotations, and exits
# like keyspill. Fails if they cannot be determined: a job that scanned nothing must not pass.
set -euo pipefail

fail() { printf '::error title=keyspill::%s\n' "$1"; exit 2; }

if ! command -v "$KEYSPILL" >/dev/null; then
    command -v cargo >/dev/null || fail "neither $KEYSPILL nor cargo to build it was found"
    cargo install --locked --quiet --path "$ACTION" --root "${RUNNER_TEMP:-/tmp}/keyspill"
    KEYSPILL="${RUNNER_TEMP:-/tmp}/keyspill/bin/keyspill"
fi

has() { git cat-file -e "$1^{commit}" 2>/dev/null; }
zero() { [[ -z "$1" || "$1" =~ ^0+$ ]]; }

args=()
case "$SCOPE" in
    tree) ;;
    history) args+=(--history) ;;
    changes)
        has "$HEAD" || fail "the commit $HEAD is missing: use actions/checkout with fetch-depth: 0"
        case "$EVENT" in
            pull_request | pull_request_target | merge_group)
                zero "$BASE" && fail "the event does not name a base commit"
                has "$BASE" || fail "the base commit $BASE is missing: use actions/checkout with fetch-depth: 0"
                args+=(--range "$BASE..$HEAD") ;;
            push)
                if ! zero "$BASE" && has "$BASE"; then
                    args+=(--range "$BASE..$HEAD")
                elif git rev-parse -q --verify "origin/$DEFAULT_BRANCH^{commit}" >/dev/null && [[ "$(git rev-parse "origin/$DEFAULT_BRANCH")" != "$HEAD" ]]; then
                    # A new branch, or a forced push whose old tip is gone: what it adds to the default branch.
                    args+=(--range "origin/$DEFAULT_BRANCH..$HEAD")
                else
                    args+=(--range "$HEAD")
                fi ;;
            schedule | workflow_dispatch) args+=(--history) ;;
            *) fail "the event $EVENT does not say which commits are new: set scope to tree or history" ;;
        esac ;;
    *) fail "scope is '$SCOPE'; expected changes, tree or history" ;;
esac
[[ -z "$FAIL_ON" ]] || args+=(--fail-on "$FAIL_ON")
[[ -z "$CONFIG" ]] || args+=(--config "$CONFIG")
[[ "$UNTRUSTED" != true ]] || args+=(--no-repo-config)

printf 'sarif=%s\n' "$SARIF" >> "${GITHUB_OUTPUT:-/dev/null}"
exec "$KEYSPILL" scan . "${args[@]}" --quiet --format sarif --output "$SARIF" --format github
