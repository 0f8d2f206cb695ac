#!/bin/sh
# Starts a worker: copies the shape of workers/echo to workers/NAME and replaces the names in it.
#
# usage: new-worker.sh NAME [ADD]     run at the root of the checkout; ADD=1 also adds the catalogue line
# The result builds and is tested as it stands: workspace members are globs.
set -eu

die() { echo "new-worker: $*" >&2; exit 1; }

name=${1:-}
add=${2:-}
from=workers/echo
catalogue=nats/skills.toml

[ -n "$name" ] || die "say how to call it: make new-worker NAME=resize"
case $name in
*[!a-z0-9-]*) die "\`$name\` is no skill name; use lower-case letters, digits and hyphens" ;;
-* | *- | *--*) die "\`$name\` may not begin or end with a hyphen, nor have two in a row: its crate is named after it" ;;
esac
[ "${#name}" -le 48 ] || die "\`$name\` has ${#name} characters; a skill name has at most 48"
[ -d "$from" ] && [ -f "$catalogue" ] || die "$from or $catalogue is not here; run this at the root of the checkout"
[ ! -e "workers/$name" ] || die "workers/$name exists already; choose another name or delete it first"
taken=$(find . -path ./target -prune -o -path ./.venv -prune -o -name Cargo.toml -exec grep -lx "name = \"nova-$name\"" {} + | head -n 1)
[ -z "$taken" ] || die "$taken is called nova-$name already; choose another name"

snake=$(echo "$name" | tr - _)
# The type's name: each part begins with a capital. A leading digit and the word `Self` are no type names in Rust.
camel=$(echo "$name" | awk -F- '{ for (i = 1; i <= NF; i++) printf "%s%s", toupper(substr($i, 1, 1)), substr($i, 2) }')
case $camel in
[0-9]* | Self) camel=Skill$camel ;;
esac

mkdir -p "workers/$name"
(cd "$from" && find . -type f) | while read -r file; do
    target=workers/$name/$(echo "$file" | sed "s|^\./||; s/echo/$snake/g")
    mkdir -p "$(dirname "$target")"
    # Names of crates and types first, then identifiers (echo_x, x_echo, echo::), then the plain word, which is the skill's name.
    sed -e "s/nova_echo/nova_$snake/g" \
        -e "s/Echo/$camel/g" \
        -e "s/ECHO/$(echo "$snake" | tr a-z A-Z)/g" \
        -e "s/echo_/${snake}_/g" -e "s/_echo/_$snake/g" -e "s/echo::/$snake::/g" \
        -e "s/echo/$name/g" \
        "$from/$file" >"$target"
done


echo "workers/$name is ready: change src/ to do your work, then \`cargo test -p nova-$name\`" >&2

line="$name = { about = \"Says in one sentence what $name does\" }"
if [ "$add" = 1 ]; then
    echo "$line" >>"$catalogue"
    echo "added to $catalogue: $line" >&2
else
    echo "add this line to $catalogue, or no queue exists for it (ADD=1 does it for you):" >&2
    echo "$line"
fi
