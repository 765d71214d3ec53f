#!/bin/sh
# Writes the Caddyfile, puts a first page into an empty folder, then becomes the server.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }
if [ -z "$(ls -A "$VOLUME_WWW")" ]; then cp page/index.html "$VOLUME_WWW/"; fi
name=${CONFIG_DOMAIN:-localhost}
{
    line '{'
    line "	admin unix/$HOME/admin.sock"
    line "	storage file_system $VOLUME_DATA"
    line "	http_port $PORT_HTTP"
    line "	https_port $PORT_HTTPS"
    line '	skip_install_trust'
    if [ -n "$CONFIG_EMAIL" ]; then line "	email $(quoted "$CONFIG_EMAIL")"; fi
    line '}'
    line '(content) {'
    if [ -n "$CONFIG_UPSTREAM" ]; then
        line "	reverse_proxy $(quoted "$CONFIG_UPSTREAM")"
    else
        line "	root * $VOLUME_WWW"
        line '	file_server'
    fi
    line '}'
    line "http://:$PORT_HTTP {"
    line '	respond /-/health ok'
    # A site with a name is not shown unencrypted.
    if [ -n "$CONFIG_DOMAIN" ]; then line "	redir https://$CONFIG_DOMAIN{uri}"; else line '	import content'; fi
    line '}'
    # Without a name in the internet, the certificate is Caddy's own.
    if [ -n "$CONFIG_DOMAIN" ]; then line "$name {"; else line "https://localhost, https://$ORCHESTRATOR_NODE {"; line '	tls internal'; fi
    line '	import content'
    line '}'
    line "import $VOLUME_CONF/*.caddy"
} >"$HOME/Caddyfile"
exec /usr/bin/caddy run --config "$HOME/Caddyfile" --adapter caddyfile
