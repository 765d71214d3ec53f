//! How `bwrap` is called: a read-only view of the system in namespaces of its own, without the agent's folder and
//! without what runs, and private places to write to.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

pub const PROGRAM: &str = "bwrap";

/// What the program inside sees.
pub struct View<'v> {
    /// The agent's folder.
    pub hidden: &'v Path,
    pub scratch: &'v Path,
    pub folder: &'v Path,
    pub writable: &'v [PathBuf],
    /// The seccomp filter, which is loaded last: `bwrap` itself mounts.
    pub filter: &'v OwnedFd,
}

/// The command line that runs `argv` inside.
pub fn command(view: &View<'_>, argv: &[String]) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut command: Vec<String> = [
        PROGRAM,
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/run",
    ]
    .map(str::to_owned)
    .into();
    for path in std::iter::once(view.scratch).chain(view.writable.iter().map(PathBuf::as_path)) {
        command.extend(["--bind".to_owned(), text(path), text(path)]);
    }
    // Last, so that none of the above shows it again.
    command
        .extend(["--tmpfs", "--remount-ro"].into_iter().flat_map(|how| [how.to_owned(), text(view.hidden)]));
    command.extend(["--chdir".to_owned(), text(view.folder)]);
    command.extend(["--seccomp".to_owned(), view.filter.as_raw_fd().to_string(), "--".to_owned()]);
    command.extend(argv.iter().cloned());
    command
}

/// Why it does not work here, from what it said and what the kernel is set to.
pub fn why(said: &str, setting: impl Fn(&str) -> Option<String>) -> String {
    let is = |path: &str, value: &str| setting(path).is_some_and(|found| found.trim() == value);
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "AppArmor keeps programs from making user namespaces; allow it for bwrap with a profile, or set \
                kernel.apparmor_restrict_unprivileged_userns=0"
            .to_owned();
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "user namespaces are off for users; set kernel.unprivileged_userns_clone=1".to_owned();
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "user namespaces are off; set user.max_user_namespaces to more than 0".to_owned();
    }
    let line = said.lines().next().unwrap_or("a canary got through").trim();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(200).collect();
    if line.is_empty() { "a canary got through".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_agent_is_hidden_after_all_that_is_writable() {
        let filter = std::fs::File::open("/dev/null").expect("there").into();
        let writable = ["/home/pi", "/home/pi/.agent/runs"].map(PathBuf::from);
        let (hidden, scratch) = (Path::new("/home/pi/.agent"), Path::new("/tmp/x"));
        let view = View { hidden, scratch, folder: scratch, writable: &writable, filter: &filter };
        let command = command(&view, &["true".to_owned()]);
        let hides = command.windows(2).rposition(|words| words == ["--tmpfs", "/home/pi/.agent"]);
        let shows = command.iter().rposition(|word| word == "--bind");
        assert!(hides > shows && shows.is_some(), "{command:?}");
    }

    #[test]
    fn what_keeps_it_from_working_is_told_with_the_way_out() {
        let apparmor =
            |path: &str| path.ends_with("apparmor_restrict_unprivileged_userns").then(|| "1\n".into());
        assert!(why("bwrap: setting up uid map: Permission denied", apparmor).contains("AppArmor"));
        let debian = |path: &str| path.ends_with("unprivileged_userns_clone").then(|| "0\n".into());
        assert!(why("", debian).contains("kernel.unprivileged_userns_clone=1"));
        assert_eq!(why("bwrap: No permissions\nmore", |_| None), "bwrap: No permissions");
        assert_eq!(why("", |_| None), "a canary got through");
    }
}
