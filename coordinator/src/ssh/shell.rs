//! Quoting: scripts are POSIX sh, but the login shell that gets them first may be fish or csh.

/// The text as one word of POSIX sh. A plain one stays as it is: scripts without quotes take fewer processes on
/// the other side.
pub fn quote(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '@' | ',');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What ssh hands to the login shell so that `script` runs under sh, whichever shell that is.
///
/// The script runs in a subshell, so that a signal that ends it is seen as status 128 + signal.
pub fn login_command(script: &str) -> String {
    word_for_any_shell("(eval \"$X\"); exit $?", script)
}

/// Like [`login_command`], but the script is the process that sshd started: the leader of its process group.
/// It first prints a line with [`WHOM`] and whom to kill to end it: `-<group>` or `<pid>`.
pub fn killable_login_command(script: &str) -> String {
    let whom = "s=; read -r s </proc/$$/stat; set -- ${s##*\") \"}; g=$$; \
                if [ \"$3\" = $$ ] || [ \"$3\" = \"$PPID\" ]; then g=-$3; fi; set --; echo \"@orchestrator $g\"; ";
    word_for_any_shell(&format!("{whom}eval \"$X\""), script)
}

/// Begins the line that says whom to kill.
pub const WHOM: &str = "@orchestrator ";

/// Ends what [`killable_login_command`] started: politely, then not.
pub fn kill_script(whom: &str) -> String {
    format!("kill -s TERM -- {whom} 2>/dev/null && sleep 1 && kill -s KILL -- {whom} 2>/dev/null; :")
}

/// What fish (`\`), csh (newline, `!`) and sh (`'`) read differently inside single quotes, each with the byte
/// that stands for it on the way.
const CODES: [(char, char); 4] = [('\n', '\x03'), ('\'', '\x06'), ('\\', '\x10'), ('!', '\x13')];

/// `tr` turns the codes back. Ranges name the difficult characters without writing them.
const DECODE: &str = "tr \"\x02-\x04\x05-\x07\x0e-\x11\x12-\x15\" \"\t-\x0b&-(Z-] -#\"";

fn word_for_any_shell(runner: &str, script: &str) -> String {
    let difficult = |c: char| CODES.iter().any(|(plain, _)| *plain == c);
    if !script.contains(difficult) {
        let runner = runner.replace("$X", "$0");
        return format!("exec sh -c '{runner}' '{script}'");
    }
    if script.chars().any(|c| matches!(c, '\x02'..='\x07' | '\x0e'..='\x15')) {
        let runner = runner.replace("$X", "$0");
        return format!("exec sh -c '{runner}' {}", quote(script));
    }
    let coded: String = script
        .chars()
        .map(|c| CODES.iter().find(|(plain, _)| *plain == c).map_or(c, |(_, code)| *code))
        .collect();
    let runner = runner.replace("$X", &format!("$(printf %s \"$0\" | {DECODE})"));
    format!("exec sh -c '{runner}' '{coded}'")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const TORTURE: &str = "a b\t'single' \"double\" \\back \\\\ \\n $HOME `id` $(id) !bang ! * ? [x] {a,b} ~ # & ; | < > ä 漢 🦀 %s %% end";

    fn run(shell: &str, command: &str) -> String {
        let output = Command::new(shell).arg("-c").arg(command).output().expect("shell runs");
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn shells() -> Vec<&'static str> {
        let is_installed = |shell: &&str| Command::new(shell).args(["-c", "true"]).status().is_ok();
        ["sh", "bash", "busybox-sh", "zsh", "fish", "tcsh", "csh", "ksh"]
            .into_iter()
            .filter(is_installed)
            .collect()
    }

    #[test]
    fn a_script_arrives_unchanged_whatever_the_login_shell() {
        let script =
            format!("printf '%s|' {} \\\n  {}\nprintf '%s' done", quote(TORTURE), quote("two\nlines\n"));
        let expected = format!("{TORTURE}|two\nlines\n|done");
        for shell in shells() {
            assert_eq!(run(shell, &login_command(&script)), expected, "{shell}");
            let killable = run(shell, &killable_login_command(&script));
            assert_eq!(killable.split_once('\n').expect("pid line").1, expected, "{shell}");
            assert_eq!(run(shell, &login_command("printf %s plain")), "plain", "{shell}");
        }
    }
}
