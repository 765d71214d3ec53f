//! Paths that no step reaches, whatever a policy says. One that ends with `/` is of the folder, too; `*` is any text.

/// Neither read nor written: memory, environments, disks, keys.
pub(super) const TOUCHED: &[&str] = &[
    "/proc/*/environ",
    "/proc/*/mem",
    "/proc/*/maps",
    "/proc/*/root",
    "/proc/*/root/*",
    "/proc/*/cwd",
    "/proc/*/cwd/*",
    "/proc/*/fd",
    "/proc/*/fd/*",
    "/proc/*/task/*",
    "/proc/kcore",
    "/proc/sysrq-trigger",
    "/proc/kallsyms",
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/ssh/ssh_host_*_key",
    "*/.ssh/id_*",
    "*/.gnupg/*",
    "/etc/ssl/private/*",
];

/// Not written: what others run or obey, with more rights than the step has.
#[rustfmt::skip]
pub(super) const WRITTEN: &[&str] = &[
    // Disks and the kernel.
    "/dev/sd*", "/dev/mmcblk*", "/dev/nvme*", "/dev/vd*", "/dev/dm-*", "/dev/loop*", "/dev/disk/", "/proc/*",
    "/sys/kernel/", "/sys/module/", "/sys/firmware/", "/sys/fs/cgroup/",
    "*/sysctl.d/", "/etc/sysctl.conf", "*/modprobe.d/", "*/modules-load.d/", "/etc/modules", "*/binfmt.d/",
    "/etc/initramfs-tools/", "/etc/kernel/", "/etc/grub.d/", "/etc/apparmor*", "/etc/selinux/",
    // What starts things: systemd, udev, D-Bus, the old scripts.
    "/etc/systemd/", "/run/systemd/", "/var/lib/systemd/", "*/lib/systemd/", "*/systemd/system*/", "*/systemd/user*/",
    "*/systemd/transient/", "*/.config/systemd/", "*/.local/share/systemd/", "*/udev/", "*/tmpfiles.d/", "*/sysusers.d/",
    "*/environment.d/", "*/dbus-1/", "*/polkit-1/", "*/autostart/", "/etc/init.d/", "/etc/init/", "/etc/rc*", "/etc/inittab",
    // What runs at its time or at an event.
    "/etc/cron*", "/etc/anacrontab", "/etc/at.*", "/var/spool/", "/etc/logrotate*", "*/update-motd.d/", "/etc/acpi/",
    "/etc/network/", "*/NetworkManager/dispatcher.d/", "*/NetworkManager/conf.d/", "*/networkd-dispatcher/", "/etc/dhcp/",
    "*/dhcpcd-hooks/", "*/dhcpcd.*hook", "/etc/ppp/", "/etc/resolvconf/", "*/renewal-hooks/", "*/.git/hooks/",
    // Programs, libraries and packages.
    "/bin/", "/sbin/", "/lib*/", "/usr/bin/", "/usr/sbin/", "/usr/lib*/", "/usr/local/bin/", "/usr/local/sbin/",
    "/usr/local/lib*/", "*/.local/bin/", "*/.local/lib/", "/etc/alternatives/", "/etc/ld.so.*", "/var/lib/dpkg/", "/etc/dpkg/",
    "/etc/apt/apt.conf*",
    // Who may do what.
    "/etc/passwd*", "/etc/group*", "/etc/subuid*", "/etc/subgid*", "/etc/sudoers*", "/etc/doas.conf*", "/var/lib/sudo/",
    "/run/sudo/", "*/pam.d/", "/etc/pam.conf", "/etc/security/", "/etc/nsswitch.conf", "/etc/ssh/", "*/.ssh/", "*/.rhosts",
    "*/.shosts", "/etc/hosts.equiv",
    // What a shell runs when somebody logs in.
    "/etc/profile*", "/etc/bash*", "/etc/zsh*", "/etc/csh*", "/etc/fish/", "/etc/environment", "/etc/skel/", "*/.bashrc",
    "*/.bash_profile", "*/.bash_login", "*/.bash_logout", "*/.bash_aliases", "*/.profile", "*/.zshrc", "*/.zshenv",
    "*/.zprofile", "*/.zlogin", "*/.zlogout", "*/.kshrc", "*/.cshrc", "*/.tcshrc", "*/.login", "*/.config/fish/",
    "*/.pam_environment", "*/.forward", "*/.xinitrc", "*/.xprofile", "*/.xsession*", "*/.vimrc", "*/.gitconfig",
];
