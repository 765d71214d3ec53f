//! What `<module>` of `deploy` and `module show` may be: a name in the registry, a folder, a package file.

use std::path::{Path, PathBuf};

use crate::cli::problem::Failure;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `name`, `name@version` or `name@sha256:…`
    Registry(String),
    /// Has a MODULE.yaml.
    Folder(PathBuf),
    /// A tar.gz made by `module pack`.
    Package(PathBuf),
}

pub const SPEC_FILE: &str = "MODULE.yaml";

impl Source {
    /// # Errors
    /// When the text is a path to nothing that is a module.
    pub fn find(text: &str) -> Result<Self, Failure> {
        let path = expand_home(text, std::env::home_dir());
        if path.join(SPEC_FILE).is_file() {
            return Ok(Source::Folder(path));
        }
        let is_package = is_package_name(text);
        if !is_package && !is_path(text) {
            return Ok(Source::Registry(text.to_owned()));
        }
        match std::fs::metadata(&path) {
            Err(cause) => Err(Failure::io(format!("could not open {}", path.display()), &cause)),
            Ok(found) if found.is_dir() => {
                let problem = Failure::invalid(format!("{} has no {SPEC_FILE}", path.display()));
                Err(problem.with_hint(format!(
                    "`orchestrator import {}` makes a module of a project's README and compose file",
                    path.display()
                )))
            }
            Ok(_) if is_package => Ok(Source::Package(path)),
            Ok(_) => Err(Failure::invalid(format!(
                "{} is neither a folder nor a package (*.tar.gz)",
                path.display()
            ))),
        }
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with(['.', '/', '~']) || text.contains('/')
}

fn is_package_name(text: &str) -> bool {
    text.ends_with(".tar.gz") || text.ends_with(".tgz")
}

/// `~` and `~/…`, for where no shell has done it (`--module=~/x`).
fn expand_home(text: &str, home: Option<PathBuf>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => Path::new(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_path_and_all_else_a_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let module = folder.path().join("web");
        std::fs::create_dir(&module).expect("a new folder");
        std::fs::write(module.join(SPEC_FILE), "name: web").expect("a new file");
        let package = folder.path().join("web.tar.gz");
        std::fs::write(&package, "").expect("a new file");
        let find = |path: &Path| Source::find(path.to_str().expect("UTF-8"));

        assert_eq!(find(&module).ok(), Some(Source::Folder(module.clone())));
        assert_eq!(find(&package).ok(), Some(Source::Package(package)));
        for name in ["redis", "redis@7.2.4", "redis@sha256:00"] {
            assert_eq!(Source::find(name).ok(), Some(Source::Registry(name.into())));
        }
        for wrong in
            [folder.path(), &folder.path().join("none"), &module.join(SPEC_FILE), Path::new("no.tar.gz")]
        {
            let failure = find(wrong).expect_err("no module there");
            assert_eq!(failure.exit(), 2, "{}", wrong.display());
        }
        assert_eq!(expand_home("~/a", Some("/home/eve".into())), Path::new("/home/eve/a"));
        assert_eq!(expand_home("~bob/a", Some("/home/eve".into())), Path::new("~bob/a"));
    }
}
