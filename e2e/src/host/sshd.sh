# Then, for a host without systemd: everything a machine mounts, and sshd becomes process 1.
hostname "$name"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=755 dev dev
mkdir -m 755 dev/pts dev/shm run/sshd run/host
mkdir -m 1777 run/lock
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
# What the engines of containers keep lies on the disk itself, as an overlay cannot lie on another one.
for engine in docker containers; do
    mkdir -p "$dir/disk/$engine" "var/lib/$engine"
    mount --bind "$dir/disk/$engine" "var/lib/$engine"
done
if [ -n "$binaries" ]; then
    mkdir -p opt/orchestrator
    mount --bind "$binaries" opt/orchestrator
fi

# Without this all hosts would claim to be in the same boot, for ever.
read -r boot </proc/sys/kernel/random/uuid
echo "$boot" >run/host/boot_id
mount --bind run/host/boot_id proc/sys/kernel/random/boot_id

# Without the old root nothing of the machine, nor of the other hosts, can be seen or held.
pivot_root . mnt
umount -l /mnt
cd /

# What a machine without systemd starts at boot.
if [ -x /etc/rc.local ]; then
    /etc/rc.local </dev/null >/run/rc.local.log 2>&1 &
fi
exec /usr/sbin/sshd -D -e
