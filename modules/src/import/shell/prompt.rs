//! What a terminal shows before a command, and texts copy with it.

/// Signs that stand before commands and never before what those print.
const SIGNS: [&str; 6] = ["$ ", "% ", "❯ ", "➜ ", "▲ ", "λ "];
const FURTHER: [&str; 10] = ["$> ", "→ ", "▶ ", ">> ", "> ", "~ $ ", "PS> ", "PS C:\\> ", "C:\\> ", "C:\\>"];

/// What is behind `# ` at the beginning of a line and no sentence begins with.
const ROOT_PROGRAMS: [&str; 7] =
    ["apt-get ", "apt install", "systemctl ", "dpkg -i", "apk add ", "docker pull ", "pacman -S"];

pub fn is_dollar(line: &str) -> bool {
    SIGNS.iter().any(|prompt| line.starts_with(prompt))
}

/// The line without its prompt.
pub fn unprompted(line: &str, has_dollar: bool) -> &str {
    let line = line.trim_start();
    if let Some(rest) = SIGNS.iter().chain(&FURTHER).find_map(|prompt| line.strip_prefix(prompt)) {
        return rest.trim_start();
    }
    // `(venv) $ cmd`
    if let Some((environment, rest)) = line.strip_prefix('(').and_then(|line| line.split_once(") $ "))
        && environment.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    {
        return rest.trim_start();
    }
    // `user@host:~$ cmd`
    if let Some((prompt, rest)) = line.split_once("$ ").or_else(|| line.split_once("# "))
        && prompt.contains('@')
        && !prompt.contains(' ')
    {
        return rest;
    }
    // `# cmd` is a comment, unless root types it.
    if let Some(rest) = line.strip_prefix("# ")
        && !has_dollar
        && ROOT_PROGRAMS.iter().any(|program| rest.starts_with(program))
        && !rest.trim_end().ends_with(['.', ':'])
    {
        return rest;
    }
    line
}
