#!/bin/sh
# Sets the password of the web interface, then becomes Syncthing. Its identity is made on the first start.
set -eu
umask 077
config=$VOLUME_STATE/config.xml
if [ -n "$CONFIG_PASSWORD" ]; then
    printf '%s\n' "$CONFIG_PASSWORD" |
        syncthing generate --home="$VOLUME_STATE" --gui-user="$CONFIG_USERNAME" --gui-password=-
    address=0.0.0.0
    if [ -e /proc/net/if_inet6 ]; then address=[::]; fi
else
    address=127.0.0.1
    echo "no password is set: the web interface answers only on this node" >&2
    # That of an earlier start would still be asked for.
    if [ -e "$config" ]; then sed -i '/<gui /,/<\/gui>/{/<user>/d; /<password>/d}' "$config"; fi
fi
# Files that arrive have the permissions they had elsewhere, not ours.
umask 022
exec syncthing serve --home="$VOLUME_STATE" --gui-address="http://$address:$PORT_GUI" --no-browser --no-restart
