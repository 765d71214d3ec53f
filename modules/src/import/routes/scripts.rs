//! Routes that run a script from the net, builds from source, and Kubernetes.

use super::{Method, Route, releases};
use crate::import::reading::{Placed, Reading};
use crate::import::shell::Command;
use crate::import::words::{self, Topic};

pub fn find(reading: &Reading, placed: &Placed<Command>) -> Option<Route> {
    let command = &placed.value;
    if let Some(script) = script(command) {
        let is_tool = TOOLCHAINS.iter().any(|tool| script.url.contains(tool))
            && !reading.identity.owns_url(&script.url);
        // `curl ${script} | sh`: how such things look, and none.
        let is_placeholder = script.url.is_empty() || script.url.starts_with(['$', '<']);
        return (!is_tool && !is_placeholder).then(|| {
            let mut route = Route::new(Method::Script, placed, &command.text);
            route.is_root = script.shell.contains("sudo");
            route.is_partial = placed.is_inline;
            route
        });
    }
    let method = match command.program() {
        "helm" if matches!(command.word(1), "install" | "upgrade" | "repo") => Method::Helm,
        "kubectl" if matches!(command.word(1), "apply" | "create") => Method::Kubectl,
        "git"
            if command.word(1) == "clone"
                && command.words.iter().any(|word| reading.identity.owns_url(&word.text)) =>
        {
            Method::SourceBuild
        }
        "make" if command.word(1) == "install" && is_configured(reading, placed) => Method::SourceBuild,
        "wget" | "curl" => return download(reading, placed),
        program if has_script(program) || matches!(program, "sh" | "bash") && has_script(command.word(1)) => {
            return fetched(reading, placed);
        }
        "dpkg" if command.word(1) == "-i" && reading.identity.owns(command.word(2)) => Method::Apt,
        "apt" | "apt-get" if command.has("install") && has_own_package(reading, command) => Method::Apt,
        _ => return None,
    };
    Some(Route::new(method, placed, &command.text))
}

/// A package of the project in a file: `./lantern_*.deb`.
fn has_own_package(reading: &Reading, command: &Command) -> bool {
    let files = command.words.iter().filter(|word| word.text.ends_with(".deb") && word.text.contains('/'));
    let mut names = files.filter_map(|word| word.text.rsplit('/').next()?.split(['_', '*', '.']).next());
    names.any(|name| reading.identity.owns(name))
}

/// `./configure`, `make`, `make install` in a section on installing: how a server without packages is put in place.
fn is_configured(reading: &Reading, placed: &Placed<Command>) -> bool {
    let end = reading.commands.partition_point(|other| other.origin.line <= placed.origin.line);
    let mut before = reading.commands[end.saturating_sub(REACH)..end].iter();
    placed.topic == Topic::Install
        && before.any(|other| matches!(other.value.program(), "configure" | "cmake" | "meson"))
        && releases::serves(reading)
}

fn has_script(word: &str) -> bool {
    word.ends_with(".sh") && word.len() > 3
}

/// How many commands before it may have fetched a script.
const REACH: usize = 12;

/// A script of the project that a command before has fetched: `wget …/install.sh`, then `bash install.sh`.
fn fetched(reading: &Reading, placed: &Placed<Command>) -> Option<Route> {
    let command = &placed.value;
    if ["help", "--help", "-h"].iter().any(|word| command.has(word)) {
        return None;
    }
    let word = if has_script(command.word(0)) { command.word(0) } else { command.word(1) };
    let name = format!("/{}", word.rsplit('/').next().unwrap_or(word));
    let end = reading.commands.partition_point(|other| other.origin.line <= placed.origin.line);
    let before = reading.commands[end.saturating_sub(REACH)..end].iter();
    let fetches = |other: &&Placed<Command>| {
        let words = &other.value.words;
        matches!(other.value.program(), "wget" | "curl")
            && words.iter().any(|word| word.text.ends_with(&name) && reading.identity.owns_url(&word.text))
    };
    let fetch = before.rev().find(fetches)?;
    let text = if fetch.value.text == command.text {
        command.text.clone()
    } else {
        format!("{} && {}", fetch.value.text, command.text)
    };
    let mut route = Route::new(Method::Script, placed, &text);
    route.is_root = command.is_root;
    Some(route)
}

/// A release that a command downloads.
fn download(reading: &Reading, placed: &Placed<Command>) -> Option<Route> {
    let url = placed.value.words.iter().map(|word| word.text.as_str()).find(|word| word.contains("://"))?;
    let is_release = url.contains("/releases/")
        || [".tar.gz", ".zip", ".deb", ".AppImage", ".tar.xz", ".jar", ".tgz", ".phar"]
            .iter()
            .any(|end| url.ends_with(end));
    let is_source = url.contains("/archive/")
        || url.contains("raw.githubusercontent")
        || url.contains("/raw/")
        || url.ends_with(".sh")
        || [".yml", ".yaml", ".env", ".json", ".conf"].iter().any(|end| url.ends_with(end))
        || url.contains("docker-compose");
    let is_part = words::any(&url.to_lowercase(), &releases::PARTS);
    // Elsewhere a download shows what the project does, not how it is installed.
    let is_release = is_release && !is_part && (url.contains("/releases/") || placed.topic == Topic::Install);
    let is_program = is_put_in_path(&placed.value) && !words::any(url, &CONFIGURATION);
    let is_offered = (is_release && !is_source || is_program) && reading.identity.owns_url(url);
    is_offered.then(|| Route::new(Method::BinaryDownload, placed, &placed.value.text))
}

const CONFIGURATION: [&str; 6] = [".yml", ".yaml", ".env", ".json", ".conf", ".service"];

/// Whether a download goes to where programs are: `-o /usr/local/bin/name`.
fn is_put_in_path(command: &Command) -> bool {
    let target =
        command.words.windows(2).find(|pair| matches!(pair[0].text.as_str(), "-o" | "-O" | "--output"));
    target.is_some_and(|pair| pair[1].text.contains("/bin/"))
}

/// What the net sends to a shell.
pub struct Script {
    pub url: String,
    /// As people name the danger: `curl | sh`.
    pub shell: String,
}

/// Installers of toolchains, which a README has its readers run before its own.
const TOOLCHAINS: [&str; 24] = [
    "get.docker.com",
    "sh.rustup.rs",
    "rustup.rs",
    "nodesource.com",
    "nvm-sh/nvm",
    "get-pip.py",
    "install.python-poetry",
    "astral.sh",
    "get.pnpm.io",
    "bun.sh",
    "bun.com",
    "deno.land",
    "yarnpkg.com",
    "homebrew/install",
    "nixos.org",
    "get.k3s.io",
    "raw.githubusercontent.com/helm",
    "get-helm",
    "sdkman.io",
    "volta.sh",
    "fnm.vercel.app",
    "pyenv.run",
    "installs.sh/docker",
    "linuxmirrors",
];

/// `curl … | sh` and its relatives.
pub fn script(command: &Command) -> Option<Script> {
    let is_shell = |program: &str| {
        matches!(
            program,
            "sh" | "bash" | "zsh" | "ash" | "dash" | "node" | "python" | "python3" | "perl" | "php"
        )
    };
    let url = |text: &str| {
        let at = text.find("http")?;
        let url: String =
            text[at..].chars().take_while(|c| !c.is_whitespace() && !"\"')`".contains(*c)).collect();
        Some(url)
    };
    if matches!(command.program(), "curl" | "wget") {
        let next = command.pipes_to.as_deref().filter(|next| is_shell(next))?;
        let is_sudo = command.text.split('|').skip(1).any(|part| part.trim_start().starts_with("sudo"));
        let shell = format!("{} | {}{next}", command.program(), if is_sudo { "sudo " } else { "" });
        let bare = command.words.iter().skip(1).map(|word| word.text.as_str());
        let bare = bare.filter(|word| !word.starts_with('-')).find(|word| word.contains('.'));
        let url = url(&command.text).or_else(|| bare.map(str::to_owned));
        return Some(Script { url: url.unwrap_or_default(), shell });
    }
    if !is_shell(command.program()) && !matches!(command.program(), "source" | "." | "eval") {
        return None;
    }
    let word = command
        .words
        .iter()
        .skip(1)
        .find(|word| word.is_computed && (word.text.contains("curl") || word.text.contains("wget")))?;
    let tool = if word.text.contains("curl") { "curl" } else { "wget" };
    let shell = if word.text.starts_with("<(") {
        format!("{} <({tool})", command.program())
    } else {
        format!("{} -c \"$({tool})\"", command.program())
    };
    Some(Script { url: url(&word.text).unwrap_or_default(), shell })
}
