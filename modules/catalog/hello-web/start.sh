#!/bin/sh
# Serves FOLDER on PORT with the bundled server, or with what else this machine has.
set -eu
port=$1 folder=$2
case $(uname -m) in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    armv6* | armv7* | armv8l) arch=armv7 ;;
    *) arch=other ;;
esac
# A 64-bit kernel may carry a 32-bit system; the bundled binaries need only the kernel.
if [ -x "./bin/$arch" ]; then exec "./bin/$arch" "$port" "$folder"; fi
if command -v busybox >/dev/null 2>&1; then exec busybox httpd -f -p "$port" -h "$folder"; fi
if command -v python3 >/dev/null 2>&1; then exec python3 -m http.server "$port" --directory "$folder"; fi
echo "no server for $(uname -m): neither a bundled one, nor busybox, nor python3" >&2
exit 1
