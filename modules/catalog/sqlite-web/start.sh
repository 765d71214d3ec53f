#!/bin/sh
# Makes the database if there is none, then becomes the program. The password stays in the environment.
set -eu
cd "$VOLUME_DATA"
[ -e "$CONFIG_DATABASE" ] || [ "$CONFIG_READ_ONLY" = true ] || python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("VACUUM")' "$CONFIG_DATABASE"
export SQLITE_WEB_PASSWORD="$CONFIG_PASSWORD"
set -- --host 0.0.0.0 --port "$PORT_HTTP" --no-browser --password
if [ "$CONFIG_READ_ONLY" = true ]; then set -- "$@" --read-only; fi
exec sqlite_web "$@" "$CONFIG_DATABASE"
