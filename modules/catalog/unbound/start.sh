#!/bin/sh
# Writes the configuration from what was set, then becomes the resolver.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
config=$HOME/unbound.conf key=$VOLUME_STATE/root.key
# One line for each part between commas, with the words before and after it.
lines() {
    printf '%s\n' "$2" | tr ',' '\n' | sed 's/^ *//; s/ *$//' | while read -r item; do
        if [ -n "$item" ]; then line "$1$item${3-}"; fi
    done
}
# Unbound writes 16m for 16MiB.
cache=$(line "$CONFIG_CACHE" | sed 's/ *[iI]*[bB]$//; s/ *\([kKmMgG]\)[iI]*$/\1/')
if [ ! -s "$key" ]; then cp /usr/share/dns/root.key "$key"; fi
{
    line 'server:'
    line '  do-daemonize: no'
    line '  use-syslog: no'
    line '  logfile: ""'
    line '  chroot: ""'
    line '  username: ""'
    line '  pidfile: ""'
    line "  directory: \"$HOME\""
    line "  port: $PORT_DNS"
    line '  interface: 0.0.0.0'
    # A kernel may be without IPv6.
    if [ -e /proc/net/if_inet6 ]; then line '  interface: ::0'; else line '  do-ip6: no'; fi
    line '  access-control: 127.0.0.0/8 allow'
    line '  access-control: ::1 allow'
    lines '  access-control: ' "$CONFIG_ALLOW" ' allow'
    line "  msg-cache-size: $cache"
    line "  rrset-cache-size: $cache"
    line '  prefetch: yes'
    line '  qname-minimisation: yes'
    line '  hide-identity: yes'
    line '  hide-version: yes'
    line '  harden-glue: yes'
    line "  auto-trust-anchor-file: \"$key\""
    line '  tls-cert-bundle: /etc/ssl/certs/ca-certificates.crt'
    line "include-toplevel: \"$VOLUME_CONF/*.conf\""
    if [ -n "$CONFIG_UPSTREAM" ]; then
        line 'forward-zone:'
        line '  name: "."'
        line '  forward-tls-upstream: yes'
        lines '  forward-addr: ' "$CONFIG_UPSTREAM"
    fi
} >"$config"
unbound-checkconf "$config"
exec unbound -d -c "$config"
