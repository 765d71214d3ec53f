#!/bin/sh
# redis-cli for the instance, with its password. With `--expect TEXT` first it succeeds only when that is the answer.
set -eu
expected=
if [ "$1" = --expect ]; then
    expected=$2
    shift 2
fi
if [ -n "$CONFIG_PASSWORD" ]; then export REDISCLI_AUTH="$CONFIG_PASSWORD"; fi
if [ -z "$expected" ]; then exec redis-cli -h 127.0.0.1 -p "$PORT_REDIS" "$@"; fi
answer=$(redis-cli -h 127.0.0.1 -p "$PORT_REDIS" "$@" 2>&1) || true
[ "$answer" = "$expected" ] || { echo "$answer" >&2; exit 1; }
