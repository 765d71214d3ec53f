//! Attacks from inside of each sandbox that this machine offers; a rung that it does not offer must be refused.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::node::{Node, binary, is_alive};

mod attacks;

const TIERS: [&str; 3] = ["t1", "t2", "t3"];

/// Not a test: the hostile program.
#[test]
#[ignore = "started in a sandbox by other tests"]
fn hostile() {
    match std::env::var("ATTACK").as_deref() {
        Ok(attack) => attacks::go(attack),
        Err(_) => attacks::try_all(),
    }
}

#[test]
fn nothing_that_a_hostile_program_tries_gets_through() {
    let Some(scene) = Scene::set() else { return };
    for tier in scene.offered() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address").to_string();
        let output = scene.attack(tier, &[("ATTACK_LISTENER", &address)], &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.lines().any(|line| line == "done"), "{tier}: {}", told(&output));
        let through: Vec<&str> = text.lines().filter(|line| line.ends_with("GOT THROUGH")).collect();
        assert!(through.is_empty(), "{tier}: {through:?}");
        assert!(text.lines().filter(|line| line.contains(": stopped (")).count() >= 40, "{tier}: {text}");
        assert!(is_alive(scene.node.agent_pid()), "{tier}: the agent lives");
        assert!(!Path::new("/etc/orchestrator-canary").exists());
        listener.set_nonblocking(true).expect("set");
        assert!(listener.accept().is_err(), "{tier}: nobody came");
    }
}

#[test]
fn bombs_go_off_inside_and_nothing_is_left_of_them() {
    let Some(scene) = Scene::set() else { return };
    for tier in scene.offered() {
        let memory = scene.attack(tier, &[("ATTACK", "memory bomb")], &["--memory", "67108864"]);
        assert!(told(&memory).contains("more memory than allowed"), "{tier}: {}", told(&memory));
        // Room for the page cache, which counts as memory, too.
        let disk = scene.attack(tier, &[("ATTACK", "disk bomb")], &["--memory", "1073741824"]);
        assert!(told(&disk).contains("grew larger than allowed"), "{tier}: {}", told(&disk));
        let file = scene.attack(tier, &[("ATTACK", "big file")], &[]);
        assert_ne!(file.status.code(), Some(0), "{tier}: {}", told(&file));
        assert!(!told(&file).contains("grew larger"), "{tier}: the file alone is too big");
        let daemon = scene.attack(tier, &[("ATTACK", "daemon")], &[]);
        assert_eq!(daemon.status.code(), Some(0), "{tier}: {}", told(&daemon));
        assert_eq!(scene.left(), Vec::<String>::new(), "{tier}");
    }
}

#[test]
fn a_fork_bomb_is_small_and_ends_with_its_sandbox() {
    let Some(scene) = Scene::set() else { return };
    for tier in scene.offered() {
        // Where nobody but the agent counts its memory, what the processes share counts for each.
        let room = ["--memory", "4294967296"];
        let mut bomb = scene.command(tier, &[("ATTACK", "fork bomb")], &room).spawn().expect("spawned");
        crate::node::until("the bomb is at its limit", || scene.left().len() >= 40);
        assert!(scene.left().len() <= 70, "{tier}: {}", scene.left().len());
        crate::node::signal(i32::try_from(bomb.id()).expect("a pid"), libc::SIGTERM);
        bomb.wait().expect("ended");
        assert_eq!(scene.left(), Vec::<String>::new(), "{tier}");
    }
}

#[test]
fn named_domains_are_the_only_way_out() {
    let Some(scene) = Scene::set() else { return };
    let listen = || TcpListener::bind("127.0.0.1:0").expect("bound");
    let (named, other) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port().to_string();
    let (named_port, other_port) = (port(&named), port(&other));
    let echo = std::thread::spawn(move || {
        for mut stream in named.incoming().take(TIERS.len()).flatten() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut stream, &mut said).expect("read");
            std::io::Write::write_all(&mut stream, format!("{said} back").as_bytes()).expect("written");
        }
    });
    let tiers = scene.offered();
    for tier in &tiers {
        let options =
            ["--domain", "localhost", "--private", "127.0.0.1", "--private", "::1", "--private", "localhost"];
        let env = [("ATTACK", "way out"), ("ATTACK_PORT", &named_port), ("ATTACK_OTHER", &other_port)];
        let output = scene.attack(tier, &env, &options);
        let told = told(&output);
        assert!(
            told.contains(&format!("localhost:{named_port}: HTTP/1.1 200 Connected  hello back")),
            "{told}"
        );
        assert!(told.contains(&format!("127.0.0.1:{other_port}: HTTP/1.1 403 ")), "{told}");
        assert!(told.contains("169.254.169.254:80: HTTP/1.1 403 "), "{told}");
        assert!(
            told.contains("around the proxy: stopped") && !told.contains("GOT THROUGH"),
            "{tier}: {told}"
        );
    }
    if tiers.len() == TIERS.len() {
        echo.join().expect("all were served");
    }
    other.set_nonblocking(true).expect("set");
    assert!(other.accept().is_err(), "nobody came to the other");
}

#[test]
fn a_preloaded_library_is_refused() {
    let node = Node::enrolled();
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "ORCHESTRATOR_AGENT"] {
        let output = sandbox(&node, &["--env", &format!("{name}=/tmp/x"), "--", "/bin/true"]);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(&format!("{name:?} may not be set")), "{}", told(&output));
    }
}

#[test]
fn a_key_that_is_not_there_is_not_said_to_be_read() {
    if !is_root() {
        eprintln!("NOT TESTED: only root has accounts to try it with");
        return;
    }
    let node = Node::enrolled();
    fs::remove_file(node.path("identity")).expect("a link");
    fs::set_permissions(node.dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
    let told = told(&sandbox(&node, &[]));
    let line = told.lines().find(|line| line.starts_with("apart")).expect("a line for it");
    assert!(line.contains("has no key yet"), "{told}");
}

/// What went wrong here did so only with musl: `make test-agent` runs it with the agent that is shipped.
#[test]
fn a_pipe_that_nobody_writes_to_holds_nobody_up() {
    let folder = tempfile::tempdir_in("/var/tmp").expect("tempdir");
    let pipe = std::ffi::CString::new(format!("{}/pipe", folder.path().display())).expect("a path");
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o666) }, 0);
    let node = Node::enrolled_in(tempfile::tempdir_in(folder.path()).expect("tempdir"));
    let output = sandbox(&node, &["--tier", "t2", "--", "/bin/echo", "inside"]);
    let told = told(&output);
    assert!(told.contains("inside") || told.contains("needs sandbox t2; missing:"), "{told}");
}

/// The agent runs, and beside it there is what a program must not get at.
struct Scene {
    node: Node,
    folder: TempDir,
    hostile: PathBuf,
    _socket: UnixListener,
}

impl Scene {
    /// None without root, as nothing here could then be set up; said loudly.
    fn set() -> Option<Self> {
        if !is_root() {
            eprintln!("NOT TESTED: the attacks on sandboxes need root to set the scene");
            return None;
        }
        let mut node = Node::enrolled();
        node.run();
        // Where the programs of a sandbox can read, but not in its way.
        let folder = tempfile::tempdir_in("/var/tmp").expect("tempdir");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let hostile = folder.path().join("hostile");
        fs::copy(std::env::current_exe().expect("this binary"), &hostile).expect("copied");
        let setuid = folder.path().join("id");
        fs::copy("/usr/bin/id", &setuid).expect("copied");
        fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).expect("set");
        let socket = UnixListener::bind(folder.path().join("root.sock")).expect("bound");
        fs::set_permissions(folder.path().join("root.sock"), fs::Permissions::from_mode(0o660)).expect("set");
        Some(Self { node, folder, hostile, _socket: socket })
    }

    /// The rungs that are offered here. The others must be refused, and this says so.
    fn offered(&self) -> Vec<&'static str> {
        let list = self.node.ok(&["sandbox"], b"");
        let mut offered = Vec::new();
        for tier in TIERS {
            let output = sandbox(&self.node, &["--tier", tier, "--", "/bin/true"]);
            if output.status.success() {
                offered.push(tier);
                continue;
            }
            eprintln!("NOT TESTED: {tier} is not offered here:\n{list}");
            let told = told(&output);
            assert!(told.contains(&format!("needs sandbox {tier}; missing:")), "{told}\n{list}");
        }
        assert!(!offered.is_empty(), "root has at least t1: {list}");
        offered
    }

    fn command(&self, tier: &str, env: &[(&str, &str)], options: &[&str]) -> Command {
        let (folder, data) = (self.folder.path().display(), self.node.dir.path().display());
        let own = [
            ("ATTACK_DATA", data.to_string()),
            ("ATTACK_AGENT", self.node.agent_pid().to_string()),
            ("ATTACK_SOCKET", format!("{folder}/root.sock")),
            ("ATTACK_SETUID", format!("{folder}/id")),
        ];
        let given = env.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut args = vec!["--tier".to_owned(), tier.to_owned()];
        args.extend(options.iter().map(|option| (*option).to_owned()));
        for (name, value) in own.into_iter().chain(given) {
            args.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        let hostile = self.hostile.to_string_lossy();
        let run = ["--", &hostile, "--exact", "sandbox::hostile", "--ignored", "--nocapture"];
        args.extend(run.map(str::to_owned));
        command(&self.node, &args)
    }

    fn attack(&self, tier: &str, env: &[(&str, &str)], options: &[&str]) -> Output {
        self.command(tier, env, options).output().expect("ran")
    }

    /// Processes of the hostile program, by what they were started as.
    fn left(&self) -> Vec<String> {
        let hostile = self.hostile.to_string_lossy().into_owned();
        let pids = fs::read_dir("/proc").expect("proc").flatten();
        pids.filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let first = words.split('\0').next()?.to_owned();
            let is_its = first == hostile || words.contains("7654321");
            (is_its && is_alive(pid)).then_some(words)
        })
        .collect()
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

fn sandbox(node: &Node, args: &[&str]) -> Output {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    command(node, &args).output().expect("ran")
}

/// The data folder comes first: what follows `--` is the program's.
fn command(node: &Node, args: &[String]) -> Command {
    let mut command = Command::new(binary());
    command.arg("sandbox").arg("--data-dir").arg(node.dir.path()).args(args);
    command.env("ATTACK_SECRET", "hunter2").stdin(Stdio::null());
    command
}

fn told(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{:?} {out}{err}", output.status.code())
}
