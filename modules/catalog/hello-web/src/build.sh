#!/bin/sh
# Builds the server for each architecture whose compiler is installed:
#   apt-get install gcc gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf
set -eu
cd "$(dirname "$0")"
build() {
    compiler=$1 arch=$2
    shift 2
    if command -v "$compiler" >/dev/null; then
        "$compiler" "$@" -Os -Wall -Wextra -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
            -fno-builtin -fno-pie -no-pie -nostdlib -static -s -Wl,--build-id=none -Wl,-z,noseparate-code \
            -Wl,-z,max-page-size=65536 -o "../bin/$arch" hello-web.c -lgcc
        echo "built $arch ($(wc -c <"../bin/$arch") bytes)"
    else
        echo "skipped $arch: $compiler is not installed" >&2
    fi
}
build x86_64-linux-gnu-gcc x86_64
build aarch64-linux-gnu-gcc aarch64
build arm-linux-gnueabihf-gcc armv7 -march=armv6 -marm -mfpu=vfp
