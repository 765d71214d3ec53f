#!/bin/sh
# Makes the database on the first start, then becomes the server, which first sets users and passwords as wished.
# Passwords are in files that only the server's user can read.
set -eu
# Other than echo, it leaves backslashes alone.
line() { printf '%s\n' "$*"; }
umask 077
data=$VOLUME_DATA/mysql socket=$HOME/mysqld.sock
text() { printf "'%s'" "$(printf '%s' "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }
name() { printf '`%s`' "$(printf '%s' "$1" | sed 's/`/``/g')"; }
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }
# A folder that is only half made is made anew: nothing can be in it yet.
if [ ! -e "$data/.made" ]; then
    rm -rf "$data"
    mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    : >"$data/.made"
fi
# MariaDB writes 128M for 128MiB.
buffer=$(line "$CONFIG_BUFFER" | sed 's/ *[iI]*[bB]$//; s/ *\([kKmMgGtT]\)[iI]*$/\1/')
user=$(text "$CONFIG_USERNAME")
{
    for host in "'localhost'" "'%'"; do
        line "CREATE USER IF NOT EXISTS 'root'@$host;"
        line "ALTER USER 'root'@$host IDENTIFIED BY $(text "$CONFIG_ROOT_PASSWORD");"
        line "GRANT ALL PRIVILEGES ON *.* TO 'root'@$host WITH GRANT OPTION;"
    done
    line "DROP USER IF EXISTS ''@'localhost';"
    line "CREATE DATABASE IF NOT EXISTS $(name "$CONFIG_DATABASE") CHARACTER SET utf8mb4;"
    line "CREATE USER IF NOT EXISTS $user@'%';"
    line "ALTER USER $user@'%' IDENTIFIED BY $(text "$CONFIG_PASSWORD");"
    line "GRANT ALL PRIVILEGES ON $(name "$CONFIG_DATABASE").* TO $user@'%';"
} >"$HOME/users.sql"
{
    line '[mariadb]'
    line "datadir = $data"
    line "socket = $socket"
    line "pid_file = $HOME/mysqld.pid"
    line "port = $PORT_MYSQL"
    line 'bind_address = *'
    line 'skip_name_resolve'
    line "tmpdir = $HOME"
    line "innodb_buffer_pool_size = $buffer"
    line "init_file = $HOME/users.sql"
    line "!includedir $VOLUME_CONF"
} >"$HOME/server.cnf"
{
    line '[client]'
    line "socket = $socket"
    line 'user = root'
    line "password = $(quoted "$CONFIG_ROOT_PASSWORD")"
} >"$HOME/client.cnf"
exec /usr/sbin/mariadbd --defaults-file="$HOME/server.cnf"
