#!/bin/sh
# Becomes the server. What needs quoting or converting comes on its standard input, behind the file; so the password
# is neither in an argument nor on the disk.
set -eu
quoted() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }
# Redis writes 64mb for 64MiB.
memory=$(echo "$CONFIG_MAX_MEMORY" | sed 's/ *[iI]*[bB]$/b/')
exec redis-server "$HOME/redis.conf" - <<END
maxmemory $memory
requirepass "$(quoted "$CONFIG_PASSWORD")"
END
