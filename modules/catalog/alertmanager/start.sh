#!/bin/sh
# Writes the configuration from what was set, unless there is one of the user's own; then becomes the server.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
umask 077
config=$VOLUME_CONF/alertmanager.yml
if [ ! -e "$config" ]; then
    config=$HOME/alertmanager.yml
    {
        line 'route:'
        line '  receiver: all'
        line '  group_by: [alertname]'
        line "  group_wait: $CONFIG_GROUP_WAIT"
        line "  repeat_interval: $CONFIG_REPEAT"
        line 'receivers:'
        line '  - name: all'
        if [ -n "$CONFIG_WEBHOOK" ]; then
            printf "    webhook_configs: [{url: '%s'}]\n" "$(printf '%s' "$CONFIG_WEBHOOK" | sed "s/'/''/g")"
        fi
    } >"$config"
fi
# One alone needs no cluster.
exec /usr/bin/prometheus-alertmanager --config.file="$config" --storage.path="$VOLUME_DATA" \
    --web.listen-address=":$PORT_HTTP" --cluster.listen-address=
