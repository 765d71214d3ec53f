//! What the code of a text is: a program, or commands.

const SOURCES: [&str; 26] = [
    "python",
    "py",
    "python3",
    "js",
    "javascript",
    "ts",
    "typescript",
    "jsx",
    "tsx",
    "go",
    "golang",
    "rust",
    "rs",
    "java",
    "kotlin",
    "ruby",
    "rb",
    "php",
    "c",
    "cpp",
    "c++",
    "csharp",
    "cs",
    "swift",
    "dart",
    "lua",
];
const FORMATS: [&str; 20] = [
    "json",
    "jsonc",
    "json5",
    "toml",
    "xml",
    "html",
    "css",
    "sql",
    "nginx",
    "diff",
    "ini",
    "caddyfile",
    "apacheconf",
    "mermaid",
    "dockerfile",
    "hcl",
    "graphql",
    "properties",
    "nix",
    "vue",
];

/// The first word of what stands behind the fence.
fn name(language: &str) -> &str {
    language.split([' ', ',', '{']).next().unwrap_or_default()
}

/// Whether it is a language of programs, whose ports are those of whoever writes them.
pub fn is_source(language: &str) -> bool {
    SOURCES.contains(&name(language))
}

/// Whether a language is none that commands are typed in.
pub fn is_program(language: &str) -> bool {
    is_source(language) || FORMATS.contains(&name(language))
}

const COMMANDS: [&str; 35] = [
    "git",
    "docker",
    "podman",
    "nerdctl",
    "docker-compose",
    "pip",
    "pip3",
    "pipx",
    "uv",
    "uvx",
    "python",
    "python3",
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "bunx",
    "cargo",
    "apt",
    "apt-get",
    "go",
    "curl",
    "wget",
    "bash",
    "sh",
    "helm",
    "kubectl",
    "brew",
    "snap",
    "sudo",
    "yay",
    "pacman",
    "dnf",
    "apk",
    "bun",
];

pub fn looks_like_command(code: &str) -> bool {
    let code = code.trim_start_matches(['$', ' ']);
    let mut words = code.split_whitespace();
    let first = words.next().unwrap_or_default();
    words.next().is_some() && COMMANDS.contains(&first)
}
