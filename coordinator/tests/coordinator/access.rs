//! `serve --listen` and those who connect: real TLS between two processes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

#[test]
fn who_has_access_is_let_in_until_it_ends() {
    let home = Home::new();
    let served = home.serve();
    let pass = home.path("laptop.pem");
    assert_success(&home.run(&format!("access add laptop --days 2 --to {}", pass.display())));
    let mode = std::fs::metadata(&pass).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read the key");

    let elsewhere = Home::new();
    let remote = format!("--coordinator {} --access {}", served.address, pass.display());
    assert_success(&elsewhere.run(&format!("{remote} secret list -o json")));
    // A change from elsewhere is a change here.
    assert_success(&elsewhere.run(&format!("{remote} access add phone --to {}/p.pem", home.dir.display())));
    let listed = assert_success(&home.run("access list -o json"));
    assert!(listed.contains("laptop") && listed.contains("phone"), "{listed}");

    assert_success(&home.run("access remove laptop"));
    let refused = elsewhere.run(&format!("{remote} status"));
    assert_eq!(refused.status.code(), Some(1));
    let words = stderr(&refused);
    assert!(words.contains("does not let") && words.contains("hint: it was removed or has ended"), "{words}");
}

#[test]
fn strangers_stay_out_and_are_told_why() {
    let (home, other) = (Home::new(), Home::new());
    let (served, foreign) = (home.serve(), other.serve());
    let of_other = other.path("eve.pem");
    assert_success(&other.run(&format!("access add eve --to {}", of_other.display())));
    let status = |options: &str| home.run(&format!("--coordinator {} {options} status", served.address));
    // The file of another fleet, no file, and what is no access file.
    for (options, code, said) in [
        (format!("--access {}", of_other.display()), 1, "is not the coordinator that gave this access"),
        (String::new(), 2, "lets in only who has access"),
        ("--access /etc/hostname".to_owned(), 2, "is not an access file"),
        ("--access /no/such".to_owned(), 2, "could not read /no/such"),
    ] {
        let output = status(&options);
        assert_eq!(output.status.code(), Some(code), "{options}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{options}: {}", stderr(&output));
    }
    drop(foreign);
    // The holder of a node's or a coordinator's certificate of the same fleet is nobody here either: only keys count
    // that were let in, so the same name with a new key is a stranger.
    assert_success(&home.run(&format!("access add eve --to {}", home.path("eve.pem").display())));
    let taken = home.run(&format!("access add eve --to {}", home.path("eve2.pem").display()));
    assert_eq!(taken.status.code(), Some(1), "{}", stderr(&taken));
    assert!(!home.path("eve2.pem").exists());
}

#[test]
fn plain_text_and_silence_get_nowhere() {
    use std::io::{Read as _, Write as _};
    let home = Home::new();
    let served = home.serve();
    let address = served.address.trim_start_matches("https://");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    // A TLS alert, and nothing of HTTP.
    assert!(answer.len() < 16 && answer.first() != Some(&b'H'), "{answer:?}");
    // One who says nothing does not hold up the others.
    let _silent = std::net::TcpStream::connect(address).expect("it listens");
    let pass = home.path("a.pem");
    assert_success(&home.run(&format!("access add a --to {}", pass.display())));
    assert_success(&home.run(&format!(
        "--coordinator {} --access {} status",
        served.address,
        pass.display()
    )));
}

/// A data folder of its own.
struct Home {
    dir: PathBuf,
    _temp: TempDir,
}

struct Served {
    process: Child,
    address: String,
}

impl Home {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        Self { dir: temp.path().to_owned(), _temp: temp }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        command(&self.dir).args(arguments.split_whitespace()).output().expect("the command runs")
    }

    /// Returns once it listens, which it says with its address.
    fn serve(&self) -> Served {
        let mut process = command(&self.dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("serve starts");
        let mut lines = BufReader::new(process.stderr.take().expect("its stderr")).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.expect("a line");
            let (_, rest) = line.split_once("address=")?;
            Some(format!("https://{}", rest.split_whitespace().next()?))
        });
        // Nobody may block it by not reading.
        std::thread::spawn(move || lines.for_each(drop));
        Served { process, address: address.expect("serve says where it listens") }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.env_clear().env("HOME", data).arg("--data-dir").arg(data.join("data")).stdin(Stdio::null());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_success(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
