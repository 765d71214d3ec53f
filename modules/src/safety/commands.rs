//! What single commands do that a person should know of.

use super::flow::{Lines, Taint, Value};
use super::printed::printed;
use super::programs::{base_name, has_option, is_interpreter, is_shell, operands, option_value, unwrapped};
use super::script::Shell;
use super::{Severity, code, paths, shown};

const CHECK_HINT: &str = "put the script into the package, where it can be read, or verify its checksum";

impl Shell<'_> {
    /// Looks at one command with its words; gives what it puts out.
    pub fn command(&mut self, words: &[Value], input: &Value, line: usize) -> Value {
        self.run_from_elsewhere(words, line);
        let real = unwrapped(words);
        if real.len() != words.len() {
            self.run_from_elsewhere(real, line);
        }
        let Some((program, arguments)) = real.split_first() else { return Value::unknown() };
        let name = base_name(&program.text);
        let with_input;
        let arguments = if words.iter().any(|word| base_name(&word.text) == "xargs") {
            with_input = [arguments, std::slice::from_ref(input)].concat();
            &with_input
        } else {
            arguments
        };
        if is_interpreter(name) {
            return self.interpreter(name, arguments, input, line);
        }
        if let Some(output) = self.text_command(name, arguments, input, line) {
            return output;
        }
        self.shell_command(name, arguments, input, line);
        self.file_command(name, arguments, line);
        self.system_command(name, arguments, input, line);
        self.container_command(name, arguments, line);
        let taint = self.functions.get(name).copied().unwrap_or_default();
        let connection = matches!(name, "nc" | "ncat" | "netcat" | "telnet" | "socat");
        let taint = if connection { Taint { remote: true, ..taint } } else { taint };
        Value::tainted(taint)
    }

    /// The program itself comes from a text that is not the script's own.
    fn run_from_elsewhere(&mut self, words: &[Value], line: usize) {
        let Some(program) = words.first() else { return };
        self.executed(program.taint, line);
        if program.text.contains('/') {
            self.runs(&program.text, None);
        }
        if self.taint_of(&program.text).downloaded {
            let text =
                format!("runs {}, a program from the network that nothing verifies", shown(&program.text));
            self.find(Severity::Medium, "unverified-download", line, text, Some("verify its checksum first"));
        }
    }

    /// Remembers that a file is run, so that it is looked at, whatever its name.
    fn runs(&mut self, path: &str, by: Option<&str>) {
        self.findings.runs(self.file, path, by);
    }

    /// A text that is not known is executed: it may be that of a file that was read.
    fn runs_what_was_read(&mut self, by: &str) {
        for path in self.read.clone() {
            self.runs(&path, Some(by));
        }
    }

    /// Reports that a text of this kind is executed.
    fn executed(&mut self, taint: Taint, line: usize) {
        if taint.cut {
            let why = "it executes a text that is too long to follow";
            self.findings.not_looked_at(Severity::High, self.file, why);
        }
        if taint.remote {
            let text = "executes what somebody sends over a connection";
            self.find(Severity::High, "suspicious-command:reverse-shell", line, text, None);
        }
        if taint.downloaded {
            let text =
                "executes a script as it comes from the network: whoever can change it there has the node";
            self.find(Severity::High, "curl-pipe-shell", line, text, Some(CHECK_HINT));
        }
        if taint.decoded {
            let text = "executes commands that are encoded, so that nobody sees what they are";
            self.find(Severity::High, "suspicious-command:encoded", line, text, None);
        }
    }

    fn interpreter(&mut self, name: &str, arguments: &[Value], input: &Value, line: usize) -> Value {
        let scripts = operands(arguments, if is_shell(name) { "oO" } else { "mWXIE" });
        if let Some(code) = self.code_argument(name, arguments) {
            self.executed(code.taint, line);
            if !code.is_known() {
                self.runs_what_was_read(name);
            }
            if is_shell(name) {
                return self.source(&code.text, code.lines(line));
            }
            self.code(&code, name, line);
            return Value::unknown();
        }
        let reads_input = is_shell(name) && has_option(arguments, Some('s'), &[]);
        match scripts.first().filter(|_| !reads_input) {
            Some(script) if !matches!(script.text.as_str(), "-" | "/dev/stdin") => {
                self.executed(script.taint.and(self.taint_of(&script.text)), line);
                self.runs(&script.text, Some(name));
                Value::unknown()
            }
            _ => {
                self.executed(input.taint, line);
                if !input.is_known() {
                    self.runs_what_was_read(name);
                }
                if is_shell(name) && input.is_known() && !input.text.is_empty() {
                    return self.source(&input.text, input.lines(line));
                }
                if input.is_known() && !is_shell(name) {
                    self.code(input, name, line);
                }
                Value::unknown()
            }
        }
    }

    fn code(&mut self, code: &Value, language: &str, line: usize) {
        code::check(&code.text, language, self.file, code.lines(line), self.findings);
    }

    /// The code that an interpreter gets as an argument: `sh -c`, `python -c`, `perl -e`, `php -r`.
    fn code_argument(&self, name: &str, arguments: &[Value]) -> Option<Value> {
        let letters: &[char] = match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "python" => &['c'],
            "php" => &['r'],
            "perl" | "ruby" | "node" | "nodejs" | "lua" | "tclsh" => &['e', 'E', 'p'],
            _ => &['c'],
        };
        let is_option = |word: &Value| {
            let text = word.text.as_str();
            let short = text.strip_prefix('-').is_some_and(|rest| {
                !rest.starts_with('-') && rest.len() <= 8 && rest.chars().any(|c| letters.contains(&c))
            });
            short || matches!(text, "--eval" | "--command" | "--print")
        };
        let at = arguments.iter().position(is_option)?;
        let rest = &arguments[at + 1..];
        rest.iter().find(|word| !is_shell(name) || !word.text.starts_with(['-', '+'])).cloned()
    }

    /// Commands that put out texts which are known, or whose source is.
    fn text_command(&mut self, name: &str, arguments: &[Value], input: &Value, line: usize) -> Option<Value> {
        match name {
            "echo" | "printf" => Some(printed(name, arguments)),
            "cat" | "head" | "tail" | "tac" | "less" | "more" => {
                let files = operands(arguments, "nc");
                self.read.extend(files.iter().map(|file| file.text.clone()));
                let taint = files.iter().fold(Taint::default(), |taint, file| {
                    taint.and(file.taint).and(self.taint_of(&file.text))
                });
                Some(if files.is_empty() || files[0].text == "-" {
                    input.clone()
                } else {
                    Value::tainted(taint)
                })
            }
            "tee" => {
                for file in operands(arguments, "") {
                    self.wrote(&file.text, input, line);
                }
                Some(input.clone())
            }
            "curl" | "wget" | "fetch" | "aria2c" | "axel" | "lynx" | "http" | "https" | "ftp" => {
                Some(self.download(name, arguments, line))
            }
            "base64" | "base32" | "basenc" | "uudecode" | "xxd" | "openssl" | "rev" | "rot13" => {
                let hides = match name {
                    "xxd" => has_option(arguments, Some('r'), &["revert"]),
                    "openssl" => has_option(arguments, Some('d'), &[]) || has_option(arguments, None, &["d"]),
                    "base64" | "base32" | "basenc" => {
                        has_option(arguments, Some('d'), &["decode"]) || has_option(arguments, Some('D'), &[])
                    }
                    _ => true,
                };
                let file = operands(arguments, "wi").first().map(|file| self.taint_of(&file.text));
                let taint = input.taint.and(file.unwrap_or_default());
                let taint = Taint { decoded: taint.decoded || hides, ..taint };
                Some(Value::tainted(taint))
            }
            "tr" | "sed" | "awk" | "gawk" | "mawk" | "grep" | "egrep" | "cut" | "sort" | "uniq"
            | "gunzip" | "zcat" | "gzip" | "xz" | "xzcat" | "bzip2" | "bzcat" | "zstd" | "tar" | "jq"
            | "yq" | "envsubst" | "iconv" | "dos2unix" | "pv" => {
                if matches!(name, "awk" | "gawk" | "mawk")
                    && let Some(program) = operands(arguments, "vF").first()
                {
                    self.code(program, "awk", line);
                }
                Some(Value::tainted(input.taint))
            }
            _ => None,
        }
    }

    fn download(&mut self, name: &str, arguments: &[Value], line: usize) -> Value {
        let is_unsafe = match name {
            "curl" => has_option(arguments, Some('k'), &["insecure", "proxy-insecure"]),
            "wget" => has_option(arguments, None, &["no-check-certificate"]),
            _ => false,
        };
        if is_unsafe {
            let text = "downloads without checking whom it downloads from";
            self.find(Severity::Medium, "insecure-download", line, text, None);
        }
        let downloaded = Value::tainted(Taint { downloaded: true, ..Taint::default() });
        let with_value = if name == "wget" { "OPoaUTwte" } else { "oHXdAueTbcxFmr" };
        let address = operands(arguments, with_value).last().map(|word| word.text.clone());
        let remote_name = || {
            let address = address.clone().unwrap_or_default();
            let path = address.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
            base_name(&path).to_owned()
        };
        let file = match name {
            "curl" if has_option(arguments, Some('O'), &["remote-name", "remote-name-all"]) => {
                Some(remote_name())
            }
            "curl" => option_value(arguments, Some('o'), &["output"]).map(str::to_owned),
            "wget" => Some(match option_value(arguments, Some('O'), &["output-document"]) {
                Some(file) => file.to_owned(),
                None => {
                    let folder = option_value(arguments, Some('P'), &["directory-prefix"]);
                    folder.map_or_else(remote_name, |folder| format!("{folder}/{}", remote_name()))
                }
            }),
            "fetch" => option_value(arguments, Some('o'), &["output"]).map(str::to_owned),
            "aria2c" | "axel" => Some(
                option_value(arguments, Some('o'), &["out", "output"])
                    .map_or_else(remote_name, str::to_owned),
            ),
            _ => None,
        };
        match file.filter(|file| !matches!(file.as_str(), "-" | "/dev/stdout")) {
            Some(file) => {
                self.wrote(&file, &downloaded, line);
                Value::default()
            }
            None => downloaded,
        }
    }

    /// Commands of the shell itself, and others that run commands they are given.
    fn shell_command(&mut self, name: &str, arguments: &[Value], input: &Value, line: usize) {
        match name {
            "eval" => {
                let mut code = Value::default();
                for word in arguments {
                    code.push(word);
                    code.text.push(' ');
                }
                self.executed(code.taint, line);
                if !code.is_known() {
                    self.runs_what_was_read("sh");
                }
                self.source(&code.text, code.lines(line));
            }
            "source" | "." => {
                if let Some(file) = arguments.first() {
                    let taint = file.taint.and(self.taint_of(&file.text));
                    let is_input = matches!(file.text.as_str(), "-" | "/dev/stdin");
                    self.executed(if is_input { taint.and(input.taint) } else { taint }, line);
                    match is_input {
                        true => self.runs_what_was_read("sh"),
                        false => self.runs(&file.text, Some("sh")),
                    }
                }
            }
            "trap" | "watch" => {
                if let Some(code) = operands(arguments, "n").first() {
                    self.source(&code.text, code.lines(line));
                }
            }
            "su" | "script" => {
                if let Some(code) = option_value(arguments, Some('c'), &["command", "session-command"]) {
                    self.source(code, Lines::In(line));
                }
            }
            "find" | "fd" => self.found_files(arguments, line),
            "read" | "mapfile" | "readarray" => {
                for variable in operands(arguments, "dpntNua") {
                    let value = Value::tainted(input.taint);
                    self.variables.insert(variable.text.clone(), value);
                }
            }
            "export" | "declare" | "local" | "readonly" | "typeset" => {
                for word in arguments {
                    if let Some((variable, text)) = word.text.split_once('=') {
                        let begins = word.line.filter(|_| !variable.contains('\n'));
                        let value = Value { text: text.to_owned(), taint: word.taint, line: begins };
                        self.assign(variable, value, line);
                    }
                }
            }
            "unset" if arguments.iter().any(|word| word.text == "HISTFILE") => self.hides(line),
            "history" if has_option(arguments, Some('c'), &[]) => self.hides(line),
            "set" if arguments.iter().any(|word| word.text == "history") => self.hides(line),
            "sha256sum" | "sha512sum" | "sha1sum" | "shasum" | "b2sum" | "md5sum" => {
                self.is_verified |= has_option(arguments, Some('c'), &["check"]);
            }
            "gpg" | "gpgv" | "gpg2" | "minisign" | "cosign" | "signify" | "rsign" => {
                let verifies =
                    |word: &Value| matches!(word.text.as_str(), "--verify" | "-V" | "-Vm" | "verify-blob");
                self.is_verified |= name == "gpgv" || arguments.iter().any(verifies);
            }
            _ => {}
        }
    }

    fn found_files(&mut self, arguments: &[Value], line: usize) {
        let is_root = |word: &&Value| !word.text.starts_with(['-', '(', '!']);
        let roots: Vec<&Value> = arguments.iter().take_while(is_root).collect();
        let is_system = roots.iter().any(|root| paths::is_system_root(&root.text) && root.text != "~");
        let has_filter = arguments.iter().any(|word| {
            matches!(
                word.text.as_str(),
                "-name" | "-iname" | "-path" | "-mtime" | "-user" | "-size" | "-newer" | "-regex"
            )
        });
        if is_system && !has_filter && arguments.iter().any(|word| word.text == "-delete") {
            self.removes_system(line);
        }
        for (at, word) in arguments.iter().enumerate() {
            if matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-x") {
                let rest = &arguments[at + 1..];
                let end = rest
                    .iter()
                    .position(|word| matches!(word.text.as_str(), ";" | "+"))
                    .unwrap_or(rest.len());
                // Where it is run, `{}` is each file in the folders.
                let file = roots.first().map_or("*".to_owned(), |root| format!("{}/*", root.text));
                let starts = unwrapped(&rest[..end]).first().map_or("", |word| base_name(&word.text));
                let is_run = is_interpreter(starts) || starts == "{}";
                let put = |word: &Value| match word.text.as_str() {
                    "{}" if is_run => Value { text: file.clone(), ..word.clone() },
                    _ => word.clone(),
                };
                let words: Vec<Value> = rest[..end].iter().map(put).collect();
                if end > 0 {
                    self.command(&words, &Value::default(), line);
                }
            }
        }
    }

    pub(super) fn removes_system(&mut self, line: usize) {
        let text = "deletes folders that the system itself needs";
        self.find(Severity::High, "suspicious-command:remove-system", line, text, None);
    }
}
