#!/bin/sh
# Writes all databases into one file; the one before is replaced only by a whole one.
set -eu
umask 077
target=$VOLUME_DATA/backup.sql.gz
mariadb-dump --defaults-file="$HOME/client.cnf" --all-databases --single-transaction --routines --events >"$target.sql"
gzip -c "$target.sql" >"$target.new"
rm "$target.sql"
mv "$target.new" "$target"
ls -l "$target"
