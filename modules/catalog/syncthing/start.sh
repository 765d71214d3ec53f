#!/bin/sh
# Makes the device's identity on the first start, sets the password of the web interface, then becomes Syncthing.
set -eu
umask 077
config=$VOLUME_STATE/config.xml
generate() { syncthing generate --home="$VOLUME_STATE" "$@"; }
if [ ! -e "$config" ]; then generate; fi
if [ -n "$CONFIG_PASSWORD" ]; then
    printf '%s\n' "$CONFIG_PASSWORD" | generate --gui-user="$CONFIG_USERNAME" --gui-password=-
    address=0.0.0.0
    if [ -e /proc/net/if_inet6 ]; then address=[::]; fi
else
    address=127.0.0.1
    echo "no password is set: the web interface answers only on this node" >&2
    # That of an earlier start would still be asked for.
    sed -i '/<gui /,/<\/gui>/{/<user>/d; /<password>/d}' "$config"
fi
sed -i "/<gui /,/<\\/gui>/s,<address>.*</address>,<address>$address:$PORT_UI</address>," "$config"
# Files that arrive have the permissions they had elsewhere, not ours.
umask 022
exec syncthing serve --home="$VOLUME_STATE" --no-browser --no-restart
