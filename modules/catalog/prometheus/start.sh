#!/bin/sh
# Writes the configuration from what was set, then becomes the server.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
mkdir -p "$VOLUME_CONF/rules" "$VOLUME_CONF/targets"
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }
# One list item for each part between commas.
items() {
    printf '%s\n' "$2" | tr ',' '\n' | sed 's/^ *//; s/ *$//' | while read -r item; do
        if [ -n "$item" ]; then line "$1- $(quoted "$item")"; fi
    done
}
{
    line 'global:'
    line "  scrape_interval: $CONFIG_INTERVAL"
    line "  evaluation_interval: $CONFIG_INTERVAL"
    line "rule_files: [$(quoted "$VOLUME_CONF/rules/*.yml")]"
    if [ -n "$CONFIG_ALERTMANAGER" ]; then
        line 'alerting:'
        line '  alertmanagers:'
        line '    - static_configs:'
        line '        - targets:'
        items '            ' "$CONFIG_ALERTMANAGER"
    fi
    line 'scrape_configs:'
    line '  - job_name: prometheus'
    line "    static_configs: [{targets: ['127.0.0.1:$PORT_HTTP']}]"
    line '  - job_name: nodes'
    line "    file_sd_configs: [{files: [$(quoted "$VOLUME_CONF/targets/*.yml")]}]"
    if [ -n "$CONFIG_TARGETS" ]; then
        line '    static_configs:'
        line '      - targets:'
        items '          ' "$CONFIG_TARGETS"
    fi
} >"$HOME/prometheus.yml"
exec /usr/bin/prometheus --config.file="$HOME/prometheus.yml" --storage.tsdb.path="$VOLUME_DATA" \
    --storage.tsdb.retention.time="$CONFIG_RETENTION" --web.listen-address=":$PORT_HTTP"
