//! The binary with a data folder of its own, as a person would use it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub struct Program {
    home: TempDir,
}

/// What one run of it did.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("ORCHESTRATOR_DATA_DIR", self.home().join("data"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(arguments).output().expect("the binary starts"))
    }

    pub fn ran(&self, output: Output) -> Ran {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).expect("UTF-8").replace(&self.home().display().to_string(), "HOME")
        };
        Ran {
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs it with `-o json`; fails the test where it fails.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(ran.status, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", ran.stdout))
    }

    /// All that can be deployed by name, for comparing.
    pub fn registry(&self) -> Value {
        let mut modules = Vec::new();
        for module in self.json(&["module", "list"]).as_array().expect("a list") {
            if module["source"] != "catalog" {
                modules.push(self.json(&["module", "versions", module["name"].as_str().expect("a name")]));
            }
        }
        Value::Array(modules)
    }

    /// A folder with a module in it.
    pub fn module(&self, folder: &str, name: &str, version: &str, more: &str) -> String {
        let place = self.home().join(folder);
        std::fs::create_dir_all(&place).expect("a new folder");
        let yaml = format!(
            "name: {name}\nversion: {version}\n{more}runtime: {{process: {{command: [sleep, '9']}}}}\n"
        );
        std::fs::write(place.join("MODULE.yaml"), yaml).expect("a new file");
        format!("./{folder}")
    }

    pub fn add(&self, name: &str, version: &str, more: &str) {
        let folder = self.module(&format!("src/{name}-{version}"), name, version, more);
        let ran = self.run(&["module", "add", &folder]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
}

impl Ran {
    /// It failed with this status and said this, and gave no data.
    pub fn fails(&self, status: i32, said: &str) {
        assert_eq!(self.status, status, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(said), "{said:?} is not in {}", self.stderr);
        assert!(self.stderr.lines().all(|line| line.len() < 2_000), "{}", self.stderr);
    }
}
