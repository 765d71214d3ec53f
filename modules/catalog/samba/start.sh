#!/bin/sh
# Writes the configuration and the one account, then becomes the server. The password is only ever on standard input.
set -eu
umask 077
config=$HOME/smb.conf state=$VOLUME_STATE
line() { printf '%s\n' "$*"; }
mkdir -p "$state/private" "$state/lock" "$state/state" "$state/cache" "$HOME/run"
if [ "$CONFIG_READ_ONLY" = true ]; then write=no; else write=yes; fi
{
    line '[global]'
    line '  server role = standalone server'
    line "  smb ports = $PORT_SMB"
    line '  disable netbios = yes'
    line '  server min protocol = SMB2'
    line '  map to guest = never'
    line '  load printers = no'
    line '  printcap name = /dev/null'
    line '  passdb backend = tdbsam'
    line "  username map = $HOME/users.map"
    line "  private dir = $state/private"
    line "  lock directory = $state/lock"
    line "  state directory = $state/state"
    line "  cache directory = $state/cache"
    line "  pid directory = $HOME/run"
    line "  ncalrpc dir = $HOME/run/ncalrpc"
    line '  logging = file'
    line '  log file = /dev/stdout'
    # What a Mac keeps beside a file.
    line '  vfs objects = catia fruit streams_xattr'
    line '  fruit:metadata = stream'
    line "[$CONFIG_SHARE]"
    line "  path = $VOLUME_FILES"
    line '  valid users = samba-files'
    line '  force user = samba-files'
    line "  writeable = $write"
    line '  create mask = 0664'
    line '  directory mask = 0775'
    if [ "$CONFIG_TIME_MACHINE" = true ]; then line '  fruit:time machine = yes'; fi
} >"$config"
line "samba-files = \"$CONFIG_USERNAME\"" >"$HOME/users.map"
printf '%s\n%s\n' "$CONFIG_PASSWORD" "$CONFIG_PASSWORD" | smbpasswd -c "$config" -s -a samba-files >/dev/null
# A folder of ours belongs to the account; one that was there before stays as it is.
case $VOLUME_FILES in */volumes/*) chown samba-files:samba-files "$VOLUME_FILES" ;; esac
exec smbd --foreground --no-process-group --configfile="$config" --debug-stdout
