#!/bin/sh
# Writes down who may connect, then becomes the server.
set -eu
umask 077
users=$HOME/users
: >"$users"
if [ -n "$CONFIG_PASSWORD" ]; then printf '%s:%s\n' "$CONFIG_USERNAME" "$CONFIG_PASSWORD" >>"$users"; fi
if [ -e "$VOLUME_CONF/users" ]; then cat "$VOLUME_CONF/users" >>"$users"; fi

if [ -s "$users" ]; then
    auth=htpasswd hosts=0.0.0.0:$PORT_HTTP
    if [ -e /proc/net/if_inet6 ]; then hosts=$hosts,[::]:$PORT_HTTP; fi
else
    auth=none hosts=127.0.0.1:$PORT_HTTP
    echo "no password is set: only programs on this node are served" >&2
fi
echo "radicale: listening on $hosts"
exec python3 -m radicale --config "$HOME/radicale.conf" --auth-type "$auth" --server-hosts "$hosts"
