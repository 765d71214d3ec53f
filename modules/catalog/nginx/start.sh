#!/bin/sh
# Puts a first page into an empty folder, then becomes the server.
set -eu
mkdir -p "$HOME/temp"
if [ -z "$(ls -A "$VOLUME_WWW")" ]; then
    cp page/index.html "$VOLUME_WWW/" || echo "$VOLUME_WWW is empty and $(id -un) may not write to it" >&2
fi
{
    echo "listen $PORT_HTTP default_server;"
    # A kernel may be without IPv6.
    if [ -e /proc/net/if_inet6 ]; then echo "listen [::]:$PORT_HTTP default_server;"; fi
} >"$HOME/listen.conf"
exec /usr/sbin/nginx -p "$HOME" -e stderr -c "$HOME/nginx.conf"
