#!/bin/sh
# Finds the `nats` command, or installs it into .venv where Go is, and prints its path. Everything else goes to stderr.
#
# Nothing depends on it: without it the tests run the documents' commands by a stand-in (tests/e2e/nats-cli), and say so.
set -eu
cd "$(dirname "$0")/../.."

module=github.com/nats-io/natscli/nats
version=v0.5.1

say() { echo "setup: $*" >&2; }

# Another program of that name is not what we mean.
is_nats() { [ -x "$1" ] && "$1" --help 2>&1 | grep -q "^NATS Utility"; }

for found in "$(command -v nats || true)" "$PWD/.venv/bin/nats"; do
    if is_nats "$found"; then
        echo "$found"
        exit 0
    fi
done

command -v go >/dev/null || { say "no nats command on PATH and no go to build one with; install either, or do without"; exit 1; }
say "installing $module@$version into .venv"
mkdir -p .venv/bin
GOBIN="$PWD/.venv/bin" go install "$module@$version" >&2 || { say "go could not install $module@$version; check the network and the version of go"; exit 1; }
echo "$PWD/.venv/bin/nats"
