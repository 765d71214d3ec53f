# Removes all that belongs to one stage. Arguments: its folder, its lock, its number, the owner it must still have.
# Every step tolerates that it was done before: owner, guardian and sweep may all try.
folder=$1 lock=$2 slot=$3 owner=$4

exec 9>"$lock"
flock 9
[ "$(cat "$folder/owner" 2>/dev/null)" = "$owner" ] || exit 0

# Kills the process named "PID STARTTIME" in a file, unless the pid belongs to another one by now.
slay() {
    read -r pid started <"$1" || return 0
    read -r stat 2>/dev/null <"/proc/$pid/stat" || return 0
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    shift 19
    [ "$1" = "$started" ] && kill -9 "$pid"
}

for file in "$folder"/hosts/*/init "$folder"/processes/*; do
    [ -e "$file" ] && slay "$file" 2>/dev/null
done
for link in /sys/class/net/oe"$slot"h*; do
    [ -e "$link" ] && ip link delete "${link##*/}" 2>/dev/null
done
for name in /run/netns/oe"$slot"-*; do
    [ -e "$name" ] && ip netns delete "${name##*/}" 2>/dev/null
done
ip link delete "oe$slot" 2>/dev/null
for undo in "$folder/internet" "$folder/emulation"; do
    [ -e "$undo" ] && sh "$undo" 2>/dev/null
done
# Its processes are dying, and a cgroup can be removed when the last one is gone.
for tree in /sys/fs/cgroup/oe"$slot"-* /sys/fs/cgroup/*/oe"$slot"-*; do
    tries=200
    while [ -e "$tree" ] && [ $tries -gt 0 ]; do
        find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.02
        tries=$((tries - 1))
    done
done
for disk in "$folder"/hosts/*/disk; do
    [ -e "$disk" ] && umount -l "$disk" 2>/dev/null
done
rm -rf "/dev/shm/orchestrator-e2e/$slot"
rm -rf --one-file-system "$folder"
