#!/bin/sh
# Puts what was set into the settings, which people change in the browser too, then becomes the program.
set -eu
umask 077
settings=$VOLUME_STATE/settings.json
if [ ! -s "$settings" ]; then echo '{}' >"$settings"; fi
number() { if [ "$1" -gt 0 ]; then echo "$1"; else echo 0; fi; }
down=$(number "$CONFIG_DOWNLOAD_LIMIT") up=$(number "$CONFIG_UPLOAD_LIMIT")
jq --argjson web "$PORT_WEB" --argjson peers "$PORT_PEERS" --argjson down "$down" --argjson up "$up" '. + {
    "rpc-enabled": true, "rpc-port": $web, "rpc-bind-address": "0.0.0.0",
    "rpc-authentication-required": true, "rpc-username": env.CONFIG_USERNAME, "rpc-password": env.CONFIG_PASSWORD,
    "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
    "peer-port": $peers, "peer-port-random-on-start": false,
    "download-dir": env.VOLUME_DOWNLOADS, "incomplete-dir-enabled": false,
    "speed-limit-down-enabled": ($down > 0), "speed-limit-down": $down,
    "speed-limit-up-enabled": ($up > 0), "speed-limit-up": $up,
    "umask": 2
}' "$settings" >"$settings.new"
mv "$settings.new" "$settings"
exec transmission-daemon --foreground --config-dir "$VOLUME_STATE" --log-info
