//! Routes through package managers: pip, npm, cargo, apt, go and their like.

use super::{Method, Route};
use crate::import::reading::{Placed, Reading};
use crate::import::shell::{Command, Word};

pub fn find(reading: &Reading, placed: &Placed<Command>) -> Option<Route> {
    let command = &placed.value;
    let found = read(command)?;
    let is_own = reading.identity.owns(bare(&found.package));
    if !is_own
        || is_of_another(reading, bare(&found.package))
        || found.package.contains(['/', '$'])
            && !found.package.starts_with('@')
            && found.method != Method::GoInstall
    {
        return None;
    }
    let mut route = Route::new(found.method, placed, &command.text);
    route.package = Some(found.package);
    route.is_library_like = found.is_library_like;
    route.is_root = command.is_root;
    route.is_partial = placed.is_inline;
    Some(route)
}

/// A part of the project's name alone, where the text links the repository of that name.
fn is_of_another(reading: &Reading, package: &str) -> bool {
    let names = |url: &str| {
        let path = url.split("://").nth(1).unwrap_or_default().trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        let is_forge = |host: &str| {
            ["github.", "gitlab.", "codeberg.", "bitbucket."].iter().any(|f| host.starts_with(f))
        };
        matches!(parts.as_slice(), [host, _, name] if is_forge(host) && name.eq_ignore_ascii_case(package))
    };
    let is_part = reading.identity.repository.len() > package.len()
        && !reading.identity.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(package));
    is_part
        && reading
            .document
            .blocks
            .iter()
            .any(|block| block.rich.links().any(|(_, url)| names(url) && !reading.identity.owns_url(url)))
}

struct Found {
    method: Method,
    package: String,
    is_library_like: bool,
}

/// The package without extras and version.
pub fn bare(package: &str) -> &str {
    let end = package
        .char_indices()
        .find(|(at, c)| matches!(c, '[' | '=' | '<' | '>' | '~' | '!') || *c == '@' && *at > 0);
    end.map_or(package, |(at, _)| &package[..at])
}

fn found(method: Method, package: Option<String>, is_library_like: bool) -> Option<Found> {
    Some(Found { method, package: package?, is_library_like })
}

fn read(command: &Command) -> Option<Found> {
    let program = command.program();
    match program {
        "pip" | "pip3" | "pip2" => pip(command, 1),
        "python" | "python3" | "py" if command.word(1) == "-m" => match command.word(2) {
            "pip" => pip(command, 3),
            "pipx" if command.word(3) == "install" => found(Method::Pipx, first(command.rest(4)), false),
            _ => None,
        },
        "pipx" if matches!(command.word(1), "install" | "run") => {
            found(Method::Pipx, first(command.rest(2)), false)
        }
        "uv" => match (command.word(1), command.word(2)) {
            ("tool", "install" | "run") => found(Method::Uvx, first(command.rest(3)), false),
            ("pip", "install") => pip(command, 2),
            ("add", _) => found(Method::Pip, first(command.rest(2)), true),
            _ => None,
        },
        "uvx" => found(Method::Uvx, first(command.rest(1)), false),
        "npx" | "bunx" => found(Method::Npx, first(command.rest(1)), false),
        "npm" | "pnpm" | "yarn" | "bun" => node(command),
        "cargo" => cargo(command),
        "apt" | "apt-get" | "aptitude" => apt(command),
        "go" if matches!(command.word(1), "install" | "get") => go(command),
        "brew" => brew(command),
        "dnf" | "yum" | "zypper" | "snap" | "flatpak" | "apk" | "pacman" | "yay" | "paru" | "pkg"
        | "nix-env" | "emerge" | "opkg" | "scoop" | "choco" | "winget" | "port" => package(command),
        _ => None,
    }
}

const VALUED: [&str; 10] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "-t",
    "--target",
    "--prefix",
    "-c",
    "--registry",
    "-f",
    "--python",
];

/// The first word that is no option.
fn first(words: &[Word]) -> Option<String> {
    names(words).next()
}

fn names(words: &[Word]) -> impl Iterator<Item = String> {
    let mut skip = false;
    let names = words.iter().filter(move |word| {
        let is_value = std::mem::replace(&mut skip, VALUED.contains(&word.text.as_str()));
        !is_value && !word.text.starts_with('-') && !word.is_computed && !word.text.is_empty()
    });
    let is_name = |word: &&Word| {
        word.text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
            && !word.text.contains("://")
            && word.text != "."
            && !word.text.ends_with(".txt")
    };
    names
        .filter(is_name)
        .map(|word| word.text.trim_end_matches([',', '.', ';']).to_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

fn pip(command: &Command, at: usize) -> Option<Found> {
    let rest = command.rest(at + 1);
    let is_file =
        rest.iter().any(|word| matches!(word.text.as_str(), "-e" | "--editable" | "-r" | "--requirement"));
    if command.word(at) != "install" || is_file {
        return None;
    }
    let package =
        names(rest).find(|name| !matches!(name.as_str(), "pip" | "setuptools" | "wheel" | "--upgrade"));
    found(Method::Pip, package, true)
}

fn node(command: &Command) -> Option<Found> {
    let is_verb = |word: &Word| !word.text.starts_with('-');
    let at = command.rest(1).iter().position(is_verb).map_or(1, |at| at + 1);
    let verb = command.word(at);
    let is_global = command
        .words
        .iter()
        .any(|word| matches!(word.text.as_str(), "-g" | "--global" | "--location=global"))
        || verb == "global";
    match verb {
        "install" | "i" | "add" | "global" | "in" => {
            let words: Vec<Word> = command
                .rest(at + 1)
                .iter()
                .filter(|word| !(verb == "global" && word.text == "add"))
                .cloned()
                .collect();
            found(Method::Npm, first(&words), !is_global)
        }
        "dlx" | "x" | "exec" | "create" | "init" if verb != "init" || command.program() == "npm" => {
            found(Method::Npx, first(command.rest(at + 1)), false)
        }
        _ => None,
    }
}

fn cargo(command: &Command) -> Option<Found> {
    match command.word(1) {
        "install" | "binstall" => {
            let is_path = command.words.iter().any(|word| matches!(word.text.as_str(), "--path" | "--git"));
            if is_path {
                let url = command.words.iter().find(|word| word.text.contains("://"));
                let name = url
                    .and_then(|word| word.text.rsplit('/').next())
                    .map(|name| name.trim_end_matches(".git").to_owned());
                return found(Method::Cargo, name, false);
            }
            found(Method::Cargo, first(command.rest(2)), false)
        }
        "add" => found(Method::Cargo, first(command.rest(2)), true),
        _ => None,
    }
}

fn apt(command: &Command) -> Option<Found> {
    let at = command.words.iter().position(|word| word.text == "install")?;
    let words = names(command.rest(at + 1)).collect::<Vec<_>>();
    // A long list is what the build needs.
    if words.len() > 4 {
        return None;
    }
    let package = words.into_iter().next()?;
    let is_of_headers = is_of_headers(&package);
    found(Method::Apt, Some(package), is_of_headers)
}

/// Packages with which other programs are built: `libwick-dev`, `wick-devel`.
fn is_of_headers(package: &str) -> bool {
    package.ends_with("-dev") || package.ends_with("-devel")
}

fn go(command: &Command) -> Option<Found> {
    let path = command.rest(2).iter().find(|word| word.text.contains('/') && !word.text.starts_with('.'))?;
    let path = path.text.split('@').next().unwrap_or_default();
    found(Method::GoInstall, Some(path.to_owned()), command.word(1) == "get")
}

fn brew(command: &Command) -> Option<Found> {
    if command.word(1) != "install" {
        return None;
    }
    let name = command.rest(2).iter().find(|word| !word.text.starts_with('-'))?;
    let name = name.text.rsplit('/').next().unwrap_or_default().to_owned();
    found(Method::Brew, Some(name), false)
}

fn package(command: &Command) -> Option<Found> {
    let is_install = |word: &Word| {
        matches!(word.text.as_str(), "install" | "add" | "-S" | "-Sy" | "-Syu" | "-iA" | "-i" | "in")
            || word.text.starts_with("-S")
    };
    let at = command.words.iter().position(is_install).or((command.program() == "emerge").then_some(0))?;
    let name = command.rest(at + 1).iter().find(|word| !word.text.starts_with('-'))?;
    let name = name.text.rsplit(['/', '.']).next().unwrap_or_default().to_owned();
    let is_of_headers = is_of_headers(&name);
    found(Method::Package, Some(name), is_of_headers)
}
