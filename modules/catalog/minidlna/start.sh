#!/bin/sh
# Writes the configuration from what was set, then becomes the server.
set -eu
title=${CONFIG_TITLE:-$ORCHESTRATOR_NODE}
# Players know it again by this, whatever its address.
if [ ! -s "$VOLUME_STATE/uuid" ]; then cat /proc/sys/kernel/random/uuid >"$VOLUME_STATE/uuid"; fi
mkdir -p "$VOLUME_STATE/cache" "$HOME/log"
{
    printf 'media_dir=%s\n' "$VOLUME_MEDIA"
    printf 'db_dir=%s\n' "$VOLUME_STATE/cache"
    printf 'log_dir=%s\n' "$HOME/log"
    printf 'friendly_name=%s\n' "$title"
    printf 'uuid=%s\n' "$(cat "$VOLUME_STATE/uuid")"
    printf 'port=%s\n' "$PORT_HTTP"
    printf 'minissdpdsocket=%s\n' "$HOME/none"
    printf 'inotify=yes\nnotify_interval=300\nroot_container=B\n'
} >"$HOME/minidlna.conf"
exec /usr/sbin/minidlnad -S -f "$HOME/minidlna.conf" -P "$HOME/minidlna.pid"
