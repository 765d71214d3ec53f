# Then, for a host with systemd: systemd-nspawn boots it as a machine would. Nothing is written to the machine's
# own folders, and the cgroups have the name of the host, so that they are found again.
mount -t proc proc /proc
mkdir -p /run/systemd
mount -t tmpfs -o mode=755 tmpfs /run/systemd
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    if [ -e "$tree/cgroup.procs" ]; then
        mkdir -p "$tree/$namespace"
        echo 0 >"$tree/$namespace/cgroup.procs"
    fi
done
# A machine has all capabilities and no filter of system calls.
export SYSTEMD_SECCOMP=0
exec systemd-nspawn --quiet --register=no --keep-unit --network-namespace-path="/run/netns/$namespace" \
    --capability=all --machine="$namespace" --hostname="$name" --link-journal=no --resolv-conf=off --timezone=off \
    --console=pipe ${binaries:+"--bind-ro=$binaries:/opt/orchestrator"} -D "$dir/root" -b
