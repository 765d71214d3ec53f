# The beginning of a host's start: runs as process 1 of new PID, mount, UTS, IPC and network namespaces and makes the
# disk the future root; what follows depends on the kind of the host. Arguments: the host's folder, its name, its
# network namespace, a folder with our binaries or nothing.
set -eu
dir=$1 name=$2 namespace=$3 binaries=$4

# /proc is still the machine's own here, so this is the pid that the machine sees.
read -r stat </proc/self/stat
pid=${stat%% *}
# shellcheck disable=SC2086
set -- ${stat##*) }
shift 19
echo "$pid $1" >"$dir/init.new"
mv "$dir/init.new" "$dir/init"

mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/disk/upper,workdir=$dir/disk/work" "$dir/root"
cd "$dir/root"
