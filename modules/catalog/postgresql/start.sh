#!/bin/sh
# Makes the database on the first start, sets users and passwords as wished, then becomes the server.
# Passwords are only ever on standard input.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
umask 077
data=$VOLUME_DATA/postgres
text() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }
name() { printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"; }
versions() { ls /usr/lib/postgresql | sort -n; }
# Files of one version are not those of another: the one that made them goes on as long as it is there.
if [ -e "$data/PG_VERSION" ]; then version=$(cat "$data/PG_VERSION"); else version=$(versions | tail -n 1); fi
bin=/usr/lib/postgresql/$version/bin
if [ ! -x "$bin/postgres" ]; then
    echo "the data is of PostgreSQL $version, but here is only $(versions | tr '\n' ' ')" >&2
    echo "hint: apt-get install postgresql-$version, dump, and load into a new deployment" >&2
    exit 1
fi
# A folder that is only half made is made anew: nothing can be in it yet.
if [ ! -e "$data/PG_VERSION" ] || [ -e "$data.half" ]; then
    : >"$data.half"
    rm -rf "$data"
    "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 >/dev/null
    {
        line 'local all postgres peer'
        line 'local all all scram-sha-256'
        line 'host all all all scram-sha-256'
    } >"$data/pg_hba.conf"
    rm "$data.half"
fi
# PostgreSQL writes 128MB for 128MiB.
buffers=$(line "$CONFIG_BUFFERS" | sed 's/ *[iI]*[bB]*$//; s/ *k$/kB/; s/ *\([KMGT]\)$/\1B/; s/KB$/kB/')
case $buffers in *[0-9]) buffers=${buffers}B ;; esac
{
    line "listen_addresses = '*'"
    line "port = $PORT_POSTGRES"
    line "unix_socket_directories = '$HOME'"
    line "shared_buffers = '$buffers'"
    line "max_connections = $CONFIG_CONNECTIONS"
    line "password_encryption = 'scram-sha-256'"
    line "include_dir = '$VOLUME_CONF'"
} >"$data/postgresql.conf"
# Without a server, so that nobody can connect before the passwords are set. One line is one statement.
user=$CONFIG_USERNAME
{
    line "ALTER ROLE postgres PASSWORD $(text "$CONFIG_ADMIN_PASSWORD")"
    printf 'DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) THEN CREATE ROLE %s; END IF; END $do$\n' \
        "$(text "$user")" "$(name "$user")"
    if [ "$user" != postgres ]; then line "ALTER ROLE $(name "$user") LOGIN PASSWORD $(text "$CONFIG_PASSWORD")"; fi
} | "$bin/postgres" --single -D "$data" postgres >/dev/null
has() { line "SELECT 1 FROM pg_database WHERE datname = $(text "$1")" | "$bin/postgres" --single -D "$data" postgres | grep -q '= "1"'; }
if ! has "$CONFIG_DATABASE"; then
    line "CREATE DATABASE $(name "$CONFIG_DATABASE") OWNER $(name "$user")" | "$bin/postgres" --single -D "$data" postgres >/dev/null
fi
exec "$bin/postgres" -D "$data"
