#!/bin/sh
# transmission-remote for the instance; the password is in its environment, not in an argument.
set -eu
export TR_AUTH="$CONFIG_USERNAME:$CONFIG_PASSWORD"
exec transmission-remote "127.0.0.1:$PORT_WEB" --authenv "$@"
