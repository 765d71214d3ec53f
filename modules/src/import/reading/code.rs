//! What the code of a text is: a program, or commands.

const PROGRAMS: [&str; 34] = [
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
];

/// Whether a language is none that commands are typed in.
pub fn is_program(language: &str) -> bool {
    let language = language.split([' ', ',', '{']).next().unwrap_or_default();
    PROGRAMS.contains(&language)
        || [
            "ini",
            "caddyfile",
            "apacheconf",
            "mermaid",
            "dockerfile",
            "lua",
            "hcl",
            "graphql",
            "properties",
            "nix",
            "vue",
        ]
        .contains(&language)
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
