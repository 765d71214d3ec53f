#!/bin/sh
# Writes the configuration from what was set, then becomes the server.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
config=$HOME/dnsmasq.conf
# One line for each part between commas, with the words before it.
lines() {
    printf '%s\n' "$2" | tr ',' '\n' | sed 's/^ *//; s/ *$//' | while read -r item; do
        if [ -n "$item" ]; then line "$1$item"; fi
    done
}
# NAME=ADDRESS is known as NAME and as NAME.domain, and the other way round.
hosts() {
    lines '' "$CONFIG_NAMES" | while IFS='=' read -r name address; do
        if [ -z "$address" ]; then echo "names: $name has no =address" >&2; else echo "$address $name"; fi
    done
}
hosts >"$HOME/names.hosts"
{
    line "port=$PORT_DNS"
    line 'keep-in-foreground'
    line 'log-facility=-'
    line 'no-resolv'
    line 'no-hosts'
    line 'bogus-priv'
    line 'domain-needed'
    # Only machines of the same network are answered, so that nobody in the internet can use it for attacks.
    line 'local-service'
    line "cache-size=$CONFIG_CACHE"
    lines 'server=' "$CONFIG_UPSTREAM"
    if [ -n "$CONFIG_DOMAIN" ]; then
        line "domain=$CONFIG_DOMAIN"
        line "local=/$CONFIG_DOMAIN/"
        line 'expand-hosts'
    fi
    line "addn-hosts=$HOME/names.hosts"
    for file in "$VOLUME_CONF"/*.hosts; do if [ -e "$file" ]; then line "addn-hosts=$file"; fi; done
    for file in "$VOLUME_CONF"/*.block; do
        if [ -e "$file" ]; then sed -n 's/[[:space:]]*#.*//; /^[A-Za-z0-9_.-][A-Za-z0-9_.-]*$/s/.*/local=\/&\//p' "$file"; fi
    done
    line 'address=/health.dnsmasq.internal/127.0.0.1'
    if [ "$CONFIG_LOG_QUERIES" = true ]; then line 'log-queries'; fi
    line "conf-dir=$VOLUME_CONF,*.conf"
} >"$config"
dnsmasq --test --conf-file="$config"
# Neither a pid file nor another user: it is its own already.
exec dnsmasq --conf-file="$config" --pid-file= --user= --group=
