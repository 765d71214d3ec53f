//! A private sshd for tests: own keys, a port of its own, the current user.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::ssh::Contact;

/// Ends with all its connections when dropped.
pub struct Sshd {
    pub dir: TempDir,
    address: SocketAddr,
    sessions: Arc<Mutex<Vec<Child>>>,
}

impl Sshd {
    pub fn start() -> Self {
        Self::start_in("exec /usr/sbin/sshd \"$@\"")
    }

    /// A machine with a `/var/lib` of its own, at `machine` in the folder.
    pub fn machine() -> Self {
        Self::start_in(MACHINE)
    }

    /// Such a machine whose ports nobody can reach but by way of SSH.
    pub fn secluded_machine() -> Self {
        Self::start_in(SECLUDED_MACHINE)
    }

    /// `wrapper` is a script that gets the folder and sshd's arguments.
    fn start_in(wrapper: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        keygen(&dir.path().join("host"));
        keygen(&dir.path().join("client"));
        fs::copy(dir.path().join("client.pub"), dir.path().join("authorized")).expect("copied");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            at("host"),
            at("authorized")
        );
        fs::write(dir.path().join("sshd_config"), config).expect("written");
        let ssh_config =
            format!("Host *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n", at("known"));
        fs::write(dir.path().join("ssh_config"), ssh_config).expect("written");
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let sessions = Arc::new(Mutex::new(Vec::new()));
        fs::create_dir(dir.path().join("machine")).expect("made");
        let serve = (dir.path().to_owned(), Arc::clone(&sessions));
        std::thread::spawn(move || accept(&listener, wrapper, &serve.0, &serve.1));
        let sshd = Self { dir, address, sessions };
        sshd.trust("host");
        sshd
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn ssh_config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    pub fn contact(&self) -> Contact {
        self.contact_with("client")
    }

    pub fn contact_with(&self, identity: &str) -> Contact {
        Contact::Ssh {
            destination: "127.0.0.1".into(),
            port: Some(self.port()),
            identity: Some(self.dir.path().join(identity)),
        }
    }

    /// Makes this the only known key of the server.
    pub fn trust(&self, key: &str) {
        let public = fs::read_to_string(self.dir.path().join(format!("{key}.pub"))).expect("key");
        let line = format!("[127.0.0.1]:{} {public}", self.port());
        fs::write(self.dir.path().join("known"), line).expect("written");
    }

    /// ssh learns all the keys of a server, and names the last one when they change.
    pub fn trust_also_ecdsa(&self) {
        let key = self.dir.path().join("ecdsa");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ecdsa", "-N", "", "-f"]).arg(&key).status();
        assert!(made.is_ok_and(|status| status.success()), "ssh-keygen failed");
        let public = fs::read_to_string(key.with_extension("pub")).expect("key");
        let known = fs::read_to_string(self.dir.path().join("known")).expect("known");
        let line = format!("{known}[127.0.0.1]:{} {public}", self.port());
        fs::write(self.dir.path().join("known"), line).expect("written");
    }

    pub fn forget_all(&self) {
        fs::write(self.dir.path().join("known"), "").expect("written");
    }

    pub fn fingerprint(&self, key: &str) -> String {
        let output =
            Command::new("ssh-keygen").arg("-lf").arg(self.dir.path().join(key)).output().expect("runs");
        let listed = String::from_utf8(output.stdout).expect("text");
        listed.split_whitespace().nth(1).expect("fingerprint").to_owned()
    }

    /// Freezes every connection, as when a cable is pulled.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.sessions.lock().expect("no panic while held").len()
    }

    /// Ends every connection.
    pub fn cut(&self) {
        self.signal("KILL");
    }

    fn signal(&self, signal: &str) {
        for session in self.sessions.lock().expect("no panic while held").iter() {
            // sshd has a child for the session itself.
            let pid = session.id().to_string();
            let _ = Command::new("pkill").args([&format!("-{signal}"), "-P", &pid]).status();
            let _ = Command::new("kill").args([&format!("-{signal}"), &pid]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        for session in self.sessions.lock().expect("no panic while held").iter_mut() {
            let _ = session.wait();
        }
    }
}

pub fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen failed");
}

const MACHINE: &str =
    "exec unshare -m sh -c 'mount --bind \"$0\"/machine /var/lib; exec /usr/sbin/sshd \"$@\"' \"$0\" \"$@\"";

/// Each connection has its own network, so the agent is reached by the connection that started it.
const SECLUDED_MACHINE: &str = "exec unshare -m -n sh -c 'ip link set lo up; mount --bind \"$0\"/machine /var/lib; exec /usr/sbin/sshd \"$@\"' \"$0\" \"$@\"";

fn accept(listener: &TcpListener, wrapper: &str, dir: &Path, sessions: &Mutex<Vec<Child>>) {
    for stream in listener.incoming().flatten() {
        let Ok(child) = serve(stream, wrapper, dir) else { return };
        sessions.lock().expect("no panic while held").push(child);
    }
}

fn serve(stream: TcpStream, wrapper: &str, dir: &Path) -> io::Result<Child> {
    let (input, output): (OwnedFd, OwnedFd) = (stream.try_clone()?.into(), stream.into());
    Command::new("sh")
        .args(["-c", wrapper])
        .arg(dir)
        .args(["-i", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .spawn()
}
