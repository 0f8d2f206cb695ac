#!/bin/sh
# Copies the programs of the fleet, and nothing else, from a build folder: nova and nova-<skill or coordinator>.
set -eu
mkdir -p "$2"
for program in "$1"/nova "$1"/nova-*; do
    case $program in
    *.d) continue ;;
    esac
    if [ -f "$program" ] && [ -x "$program" ]; then
        strip "$program" -o "$2/$(basename "$program")"
    fi
done
ls -l "$2"
