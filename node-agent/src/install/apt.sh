# Installs the packages named by the arguments unless all are there. Their daemons are kept from starting while
# this runs, and those that came with it from starting at the next boot: the module runs its own.
set -u
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }
all=yes
for p in "$@"; do installed "$p" || all=no; done
# What was there before, kept until the daemons of what came are disabled: an interrupted run goes on from it.
begun=./.apt-before
[ "$all" = yes ] && [ ! -e "$begun" ] && exit 0
[ "$(id -u)" = 0 ] || { echo "error: installing $* needs root, and the agent runs as $(id -un)" >&2; exit 77; }

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 143' HUP INT TERM
  printf '#!/bin/sh\n# by orchestrator, while it installs packages\nexit 101\n' > "$policy"
  chmod 755 "$policy"
fi
if [ ! -e "$begun" ]; then
  dpkg-query -W -f '${Package}\n' >"$begun.new" && sync "$begun.new" && mv -f "$begun.new" "$begun" || exit 1
fi
before=$(cat "$begun")
get() { apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }
install() { get install -y --no-install-recommends -- "$@"; }
if ! install "$@"; then
  # Stale lists or a dpkg that was interrupted are the usual reasons.
  dpkg --configure -a || true
  get update || true
  install "$@" || exit 1
fi

# Debian's own helper knows what is enabled even where systemd does not run, as in a chroot.
disable() {
  if command -v systemctl >/dev/null 2>&1; then systemctl --quiet disable "$1"; else deb-systemd-helper disable "$1"; fi
}
command -v systemctl >/dev/null 2>&1 || command -v deb-systemd-helper >/dev/null 2>&1 || { rm -f "$begun"; exit 0; }
nl='
'
sources=$(dpkg-query -W -f '${source:Package}\n' "$@" 2>/dev/null)
dpkg-query -W -f '${Package} ${source:Package}\n' | while read -r package source; do
  case "$nl$before$nl" in *"$nl$package$nl"*) continue ;; esac
  case "$nl$sources$nl" in *"$nl$source$nl"*) ;; *) continue ;; esac
  dpkg -L "$package" | sed -n 's|^.*/lib/systemd/system/\([^/@]*\.service\)$|\1|p' |
    while read -r unit; do disable "$unit" </dev/null || true; done
done
rm -f "$begun"
exit 0
