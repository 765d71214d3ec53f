//! A git repository that is changed and published.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::web::{Request, Response, Server};

pub struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::create_dir(repository.work()).expect("a new folder");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub fn work(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    pub fn write(&self, path: &str, text: &str) {
        let place = self.work().join(path);
        std::fs::create_dir_all(place.parent().expect("below")).expect("a new folder");
        std::fs::write(place, text).expect("a new file");
    }

    pub fn module(&self, folder: &str, name: &str, version: &str, more: &str) {
        let yaml = format!(
            "name: {name}\nversion: {version}\n{more}runtime: {{process: {{command: [sleep, '9']}}}}\n"
        );
        self.write(&format!("{folder}/MODULE.yaml"), &yaml);
    }

    pub fn remove(&self, folder: &str) {
        std::fs::remove_dir_all(self.work().join(folder)).expect("was there");
    }

    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=Change"]);
        self.bare();
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Where it is published: `modules.git`.
    pub fn bare(&self) -> String {
        let bare = self.folder.path().join("modules.git");
        if !bare.is_dir() {
            self.git(&["clone", "--quiet", "--bare", ".", "../modules.git"]);
        }
        self.git(&["push", "--quiet", "--force", "../modules.git", "main"]);
        self.git(&["--git-dir=../modules.git", "update-server-info"]);
        bare.to_str().expect("UTF-8").to_owned()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let identity =
            ["-c", "user.name=Eve", "-c", "user.email=eve@example.org", "-c", "commit.gpgSign=false"];
        let output = Command::new("git")
            .args(identity)
            .args(arguments)
            .current_dir(self.work())
            .output()
            .expect("git starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// As hosts do: through `git http-backend`.
    pub fn serve(&self) -> Server {
        let root = self.folder.path().to_owned();
        Server::start(move |request| backend(&root, request))
    }

    /// As a plain web server does, which knows nothing of git.
    pub fn serve_plainly(&self) -> Server {
        let root = self.folder.path().to_owned();
        Server::start(move |request| match std::fs::read(root.join(request.path.trim_start_matches('/'))) {
            Ok(bytes) => Response::new(200, bytes),
            Err(_) => Response::new(404, "not found"),
        })
    }
}

fn backend(root: &Path, request: &Request) -> Response {
    use std::io::Write as _;
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git starts");
    child.stdin.take().expect("piped").write_all(&request.body).expect("it reads");
    let output = child.wait_with_output().expect("it ends").stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = Response::new(200, &output[end + 4..]);
    for line in head.lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        match name {
            "Status" => {
                response.status =
                    value.split(' ').next().and_then(|code| code.parse().ok()).expect("a status")
            }
            name => response = response.header(name, value),
        }
    }
    response
}
