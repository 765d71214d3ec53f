//! Which files of a project say how it is deployed, and how much of them is read.

/// Largest file that is read: a README of 1 MB is a long one.
pub const FILE_BYTES: u64 = 2 << 20;
/// All files of a project together.
pub const PROJECT_BYTES: u64 = 16 << 20;
/// Most files of a project that are read.
pub const FILES: usize = 64;
/// Most entries of a project that are looked through.
pub const ENTRIES: usize = 20_000;
/// How deep below the top they may be.
const DEPTH: usize = 4;

/// What to read of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Only what is below this folder; empty: all.
    pub folder: String,
    /// A branch, tag or commit; absent: what the project shows.
    pub revision: Option<String>,
}

/// How much a file says of how its project is deployed; the less, the more. `None`: nothing.
pub fn rank(path: &str) -> Option<u8> {
    let depth = path.matches('/').count();
    let lower = path.to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    if depth > DEPTH || lower.split('/').any(is_vendored) {
        return None;
    }
    let rank: u8 = if name == "module.yaml" {
        0
    } else if is_readme(name) {
        if depth == 0 { 1 } else { 6 }
    } else if is_compose(name) {
        2
    } else if name == "dockerfile" || name == "containerfile" || name.starts_with("dockerfile.") {
        if depth == 0 { 3 } else { 7 }
    } else if is_manifest(name) && depth == 0 {
        3
    } else if is_licence(name) && depth == 0 || name == "cargo.toml" && depth <= 2 {
        4
    } else if name.ends_with(".service") || is_environment(name) {
        5
    } else if is_guide(&lower, name) {
        6
    } else {
        return None;
    };
    Some(rank.saturating_add(u8::try_from(depth).unwrap_or(u8::MAX)))
}

/// Those of `paths` that are worth reading, the most telling first.
pub fn choose<'p>(paths: impl Iterator<Item = &'p str>, wanted: &Wanted) -> Vec<&'p str> {
    let folder = wanted.folder.trim_matches('/');
    let below = |path: &'p str| {
        let rest = if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') };
        rest.and_then(rank).map(|rank| (rank, path))
    };
    let mut chosen: Vec<(u8, &str)> = paths.filter_map(below).collect();
    chosen.sort_unstable();
    chosen.truncate(FILES);
    chosen.into_iter().map(|(_, path)| path).collect()
}

fn is_vendored(part: &str) -> bool {
    matches!(part, ".git" | "node_modules" | "vendor" | "third_party" | "target" | "testdata" | "__pycache__")
}

fn is_readme(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    stem == "readme" && !name.ends_with(".html")
}

fn is_compose(name: &str) -> bool {
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    is_yaml && (name.contains("compose") || name.starts_with("stack."))
}

fn is_manifest(name: &str) -> bool {
    matches!(
        name,
        "package.json" | "pyproject.toml" | "setup.py" | "setup.cfg" | "go.mod" | "pom.xml" | "composer.json"
    )
}

fn is_licence(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    matches!(stem, "license" | "licence" | "copying" | "unlicense")
}

fn is_environment(name: &str) -> bool {
    matches!(
        name,
        ".env" | ".env.example" | ".env.sample" | ".env.dist" | "env.example" | "example.env" | "sample.env"
    )
}

/// Pages about installing, where a project keeps them out of its README.
fn is_guide(path: &str, name: &str) -> bool {
    let is_text = [".md", ".rst", ".adoc", ".txt"].iter().any(|end| name.ends_with(end));
    let words = ["install", "docker", "deploy", "setup", "getting-started", "getting_started", "quickstart"];
    is_text
        && (path.starts_with("docs/") || path.starts_with("doc/") || !path.contains('/'))
        && words.iter().any(|word| name.contains(word))
}
