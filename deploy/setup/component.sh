#!/bin/sh
# Says whether a cargo component (fmt, clippy) is there, and what to do when it is not.
set -eu
cargo "$1" --version >/dev/null 2>&1 && exit 0
package=$1
[ "$package" = fmt ] && package=rustfmt
echo "check: cargo $1 is missing; install it with \`rustup component add $package\` or your system's $package package" >&2
exit 1
