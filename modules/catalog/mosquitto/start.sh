#!/bin/sh
# Writes down who may connect, then becomes the broker. The password is never in an argument.
set -eu
umask 077
cd "$HOME"
mkdir -p conf.d .config
rm -f users
: >users
if [ -n "$CONFIG_PASSWORD" ]; then
    printf '%s\n%s\n' "$CONFIG_PASSWORD" "$CONFIG_PASSWORD" | mosquitto_passwd -c users "$CONFIG_USERNAME" >/dev/null
fi
if [ -e "$VOLUME_CONF/passwords" ]; then cat "$VOLUME_CONF/passwords" >>users; fi

if [ "$CONFIG_ANONYMOUS" = true ] || [ -s users ]; then
    address=
else
    address=127.0.0.1
    echo "no password is set: only programs on this node can connect" >&2
fi
{
    echo "listener $PORT_MQTT $address"
    if [ -s users ]; then echo "password_file $HOME/users"; fi
    if [ "$CONFIG_ANONYMOUS" = true ] || [ ! -s users ]; then echo "allow_anonymous true"; else echo "allow_anonymous false"; fi
} >conf.d/access.conf

# How the actions connect.
{
    printf -- '-h 127.0.0.1\n-p %s\n' "$PORT_MQTT"
    if [ -n "$CONFIG_PASSWORD" ]; then printf -- '-u %s\n-P %s\n' "$CONFIG_USERNAME" "$CONFIG_PASSWORD"; fi
} >.config/mosquitto_sub
cp .config/mosquitto_sub .config/mosquitto_pub
exec mosquitto -c "$HOME/mosquitto.conf"
