//! Follows a shell script: which commands it runs, with which words, and where what they read comes from.
//!
//! Nothing is executed. Loops are gone through once, every branch is taken, and what cannot be known is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::{Lines, Taint, UNKNOWN, Value};
use super::shell::{self, Command, Part, Pipeline, Word};
use super::{Findings, Severity, paths};

/// Checks a script.
pub fn check(text: &str, file: &str, lines: Lines, findings: &mut Findings) {
    Shell::new(file, findings).source(text, lines);
}

/// Checks a program with its arguments, as a MODULE.yaml or a compose file has them.
pub fn check_argv<S: AsRef<str>>(words: &[S], file: &str, line: usize, findings: &mut Findings) {
    let words: Vec<Value> = words.iter().map(|word| Value::literal(word.as_ref())).collect();
    if !words.is_empty() {
        Shell::new(file, findings).command(&words, &Value::default(), line);
    }
}

const MAX_SOURCES: usize = 16;
const MAX_STEPS: usize = 50_000;
const MAX_TEXT: usize = 64 << 10;
/// That a variable without quotes becomes.
const MAX_WORDS: usize = 1000;
/// What all expansions of one script may come to.
const MAX_EXPANDED: usize = 8 << 20;

/// A shell that only looks.
pub struct Shell<'f> {
    pub file: &'f str,
    pub findings: &'f mut Findings,
    pub variables: BTreeMap<String, Value>,
    /// What functions put out.
    pub functions: BTreeMap<String, Taint>,
    /// Files that come from the network.
    pub downloads: BTreeSet<String>,
    /// Whether a checksum or signature was verified.
    pub is_verified: bool,
    /// Files that were read; what executes a text that is not known may execute theirs.
    pub read: BTreeSet<String>,
    /// Descriptors that are connections.
    connections: BTreeSet<String>,
    sources: usize,
    steps: usize,
    expanded: usize,
}

impl<'f> Shell<'f> {
    pub fn new(file: &'f str, findings: &'f mut Findings) -> Self {
        let variables = BTreeMap::from([("HOME".to_owned(), Value::literal("~"))]);
        Self {
            file,
            findings,
            variables,
            functions: BTreeMap::new(),
            downloads: BTreeSet::new(),
            is_verified: false,
            read: BTreeSet::new(),
            connections: BTreeSet::new(),
            sources: 0,
            steps: 0,
            expanded: 0,
        }
    }

    /// Follows a text as a script.
    pub fn source(&mut self, text: &str, lines: Lines) -> Value {
        if self.sources == MAX_SOURCES {
            self.findings.not_looked_at(Severity::High, self.file, "scripts are in scripts too deep");
            return Value::unknown();
        }
        self.sources += 1;
        let outer = self.findings.enter(lines);
        let script = shell::parse(text, lines.first());
        if let Some(unread) = script.unread {
            let text = "a part of this script could not be read, so what it does is not known";
            self.findings.add(Severity::Low, "unreadable-script", (self.file, unread), text, None);
        }
        if script.is_too_much {
            self.findings.not_looked_at(Severity::High, self.file, "it is nested too deep, or too long");
        }
        let output = self.list(&script.pipelines, &Value::default());
        self.findings.leave(outer);
        self.sources -= 1;
        output
    }

    pub fn find(
        &mut self,
        severity: Severity,
        id: &str,
        line: usize,
        text: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.findings.add(severity, id, (self.file, line), text, hint);
    }

    /// What the commands put out.
    fn list(&mut self, pipelines: &[Pipeline], input: &Value) -> Value {
        let mut output = Value::default();
        for pipeline in pipelines {
            let mut flow = input.clone();
            for command in &pipeline.commands {
                flow = self.run(command, flow);
            }
            self.check_pipeline(pipeline);
            output.push(&flow);
            limit(&mut output);
        }
        output
    }

    fn run(&mut self, command: &Command, input: Value) -> Value {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.expanded > MAX_EXPANDED {
            self.findings.not_looked_at(
                Severity::High,
                self.file,
                "it has too many commands, or too much text",
            );
            return Value::unknown();
        }
        if let Some(name) = &command.function {
            return self.define(name, command);
        }
        let (input, files) = self.redirects(command, input);
        for (name, value) in &command.assignments {
            let value = self.joined(value);
            self.assign(name, value, command.line);
        }
        let words: Vec<Value> = command.words.iter().flat_map(|word| self.expand(word)).collect();
        let output = if let Some(name) = &command.variable {
            let mut value = match words.as_slice() {
                [only] => only.clone(),
                _ => Value::unknown(),
            };
            value.taint = words.iter().fold(value.taint, |taint, word| taint.and(word.taint));
            self.variables.insert(name.clone(), value);
            self.list(&command.body, &input)
        } else if !command.body.is_empty() {
            self.list(&command.body, &input)
        } else if words.is_empty() {
            Value::default()
        } else {
            self.command(&words, &input, command.line)
        };
        for file in &files {
            self.wrote(file, &output, command.line);
        }
        if files.is_empty() { output } else { Value::default() }
    }

    fn define(&mut self, name: &str, command: &Command) -> Value {
        let calls_itself = |pipeline: &Pipeline| {
            let calls = pipeline
                .commands
                .iter()
                .filter(|command| command.words.first().and_then(Word::plain).as_deref() == Some(name));
            calls.count() > 1
        };
        let inner = command.body.first().and_then(|pipeline| pipeline.commands.first());
        if inner.is_some_and(|inner| inner.body.iter().any(calls_itself)) {
            let text = "starts itself over and over until the node stands still";
            self.find(Severity::High, "suspicious-command:fork-bomb", command.line, text, None);
        }
        let output = self.list(&command.body, &Value::unknown());
        self.functions.insert(name.to_owned(), output.taint);
        Value::default()
    }

    /// What the command reads, and the files its output goes to.
    fn redirects(&mut self, command: &Command, mut input: Value) -> (Value, Vec<String>) {
        let mut files = Vec::new();
        for redirect in &command.redirects {
            let target = self.joined(&redirect.target);
            let is_connection =
                ["/dev/tcp/", "/dev/udp/"].iter().any(|prefix| target.text.starts_with(prefix));
            if is_connection {
                self.connected(command, &redirect.operator, &mut input);
                continue;
            }
            match redirect.operator.as_str() {
                "<<<" | "<<" => input = target,
                "<" => {
                    let taint = target.taint.and(self.taint_of(&target.text));
                    self.read.insert(target.text);
                    input = Value::tainted(taint);
                }
                "<&" if self.connections.contains(&target.text) => input.taint.remote = true,
                "<&" => {}
                _ if target.text.is_empty()
                    || target.text.chars().all(|c| c.is_ascii_digit() || c == '-') => {}
                "<>" => files.push(target.text),
                _ => files.push(target.text),
            }
        }
        (input, files)
    }

    /// A connection that bash itself opens. A shell on it is somebody else's; a mere probe is not.
    fn connected(&mut self, command: &Command, operator: &str, input: &mut Value) {
        let words: Vec<Value> = command.words.iter().flat_map(|word| self.expand(word)).collect();
        let real = super::programs::unwrapped(&words);
        let name = real.first().map_or("", |word| super::programs::base_name(&word.text));
        if super::programs::is_interpreter(name) {
            let text = "gives a shell on the node to whoever waits at the other end of a connection";
            self.find(Severity::High, "suspicious-command:reverse-shell", command.line, text, None);
        }
        if operator == "<" || operator == "<>" {
            input.taint.remote = true;
        }
        if words.first().is_some_and(|word| word.text == "exec") {
            self.connections.extend((0..10).map(|descriptor| descriptor.to_string()));
        }
    }

    fn check_pipeline(&mut self, pipeline: &Pipeline) {
        let mut shell_at = None;
        for command in &pipeline.commands {
            let words: Vec<Value> = command.words.iter().flat_map(|word| self.plain(word)).collect();
            let real = super::programs::unwrapped(&words);
            let name = real.first().map_or("", |word| super::programs::base_name(&word.text));
            let is_bare = real.iter().skip(1).all(|word| word.text.starts_with('-'));
            let talks = matches!(name, "nc" | "ncat" | "netcat" | "telnet" | "socat");
            let talks = talks || name == "openssl" && real.get(1).is_some_and(|word| word.text == "s_client");
            if let (true, Some(line)) = (talks, shell_at) {
                let text = "sends what a shell puts out to somebody else, who may also type into it";
                self.find(Severity::High, "suspicious-command:reverse-shell", line, text, None);
            }
            if super::programs::is_shell(name) && is_bare {
                shell_at = Some(command.line);
            }
        }
    }

    /// A word for a second look: without running what is inside again.
    fn plain(&self, word: &Word) -> Vec<Value> {
        vec![Value::literal(word.plain().unwrap_or_default())]
    }

    pub fn assign(&mut self, name: &str, value: Value, line: usize) {
        let hides = name == "HISTFILE" && matches!(value.text.as_str(), "" | "/dev/null")
            || matches!(name, "HISTSIZE" | "HISTFILESIZE") && value.text == "0";
        if hides {
            self.hides(line);
        }
        self.variables.insert(name.to_owned(), value);
    }

    pub fn hides(&mut self, line: usize) {
        let text = "removes the traces of what was done on the node";
        self.find(Severity::High, "suspicious-command:hide-traces", line, text, None);
    }

    /// A file was written; `output` is what is in it.
    pub fn wrote(&mut self, path: &str, output: &Value, line: usize) {
        if output.taint.downloaded {
            self.downloads.insert(path.to_owned());
        }
        if paths::is_trace(path) {
            self.hides(line);
        }
        if let Some((severity, kind, why)) = paths::sensitive_write(path) {
            let id = format!("suspicious-command:{kind}");
            let text = format!("writes {}, which {why}", super::shown(path));
            self.find(severity, &id, line, text, None);
        }
    }

    /// Where the content of a file comes from.
    pub fn taint_of(&self, path: &str) -> Taint {
        let path = path.trim_start_matches("./");
        let is_known = self.downloads.iter().any(|known| known.trim_start_matches("./") == path);
        Taint { downloaded: is_known && !self.is_verified, ..Taint::default() }
    }

    /// A word as one text.
    pub fn joined(&mut self, word: &Word) -> Value {
        let (mut value, mut adds_lines) = (Value::default(), false);
        for part in &word.parts {
            let expanded = self.part(part);
            adds_lines |= !matches!(part, Part::Text { .. }) && expanded.text.contains('\n');
            value.push(&expanded);
            limit(&mut value);
        }
        self.expanded += value.text.len();
        value.line = word.line.filter(|_| !adds_lines).or(value.line);
        value
    }

    fn part(&mut self, part: &Part) -> Value {
        match part {
            Part::Text { text, .. } => Value::literal(text.clone()),
            Part::Variable { name, default, .. } => match (self.variables.get(name), default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => self.joined(default),
                (None, None) => Value::unknown(),
            },
            Part::Substitution { body, .. } => {
                let mut output = self.list(body, &Value::default());
                output.text.truncate(output.text.trim_end_matches('\n').len());
                if output.text.is_empty() {
                    output.text.push(UNKNOWN);
                }
                output
            }
            Part::Process { body } => {
                let output = self.list(body, &Value::unknown());
                Value { text: format!("/dev/fd/{UNKNOWN}"), taint: output.taint, line: None }
            }
        }
    }

    /// The words that a word becomes: what stands without quotes is split, `{a,b}` is two.
    fn expand(&mut self, word: &Word) -> Vec<Value> {
        if let [Part::Text { text, is_quoted: false }] = word.parts.as_slice()
            && let Some(inside) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'))
            && inside.contains(',')
        {
            return inside.split(',').map(Value::literal).collect();
        }
        let is_whole = |part: &Part| {
            !matches!(
                part,
                Part::Variable { is_quoted: false, .. } | Part::Substitution { is_quoted: false, .. }
            )
        };
        if word.parts.iter().all(is_whole) {
            return if word.parts.is_empty() { Vec::new() } else { vec![self.joined(word)] };
        }
        let mut fields: Vec<Value> = Vec::new();
        let mut current: Option<Value> = None;
        for part in &word.parts {
            let is_split = match part {
                Part::Variable { is_quoted, .. } | Part::Substitution { is_quoted, .. } => !is_quoted,
                Part::Text { .. } | Part::Process { .. } => false,
            };
            if matches!(part, Part::Variable { name, .. } if name == "IFS") && is_split {
                fields.extend(current.take());
                continue;
            }
            let value = self.part(part);
            self.expanded += value.text.len();
            if !is_split || !value.text.contains(char::is_whitespace) {
                let current = current.get_or_insert_default();
                current.push(&value);
                limit(current);
                continue;
            }
            if value.text.starts_with(char::is_whitespace) {
                fields.extend(current.take());
            }
            let is_cut = value.text.split_whitespace().nth(MAX_WORDS).is_some();
            let taint = Taint { cut: value.taint.cut || is_cut, ..value.taint };
            for piece in value.text.split_whitespace().take(MAX_WORDS) {
                let begun = current.take();
                let mut piece = Value { text: piece.to_owned(), taint, line: None };
                if let Some(mut begun) = begun {
                    begun.push(&piece);
                    piece = begun;
                }
                fields.push(piece);
            }
            if !value.text.ends_with(char::is_whitespace) {
                current = fields.pop();
            }
        }
        fields.extend(current);
        fields
    }
}

/// A text that grows too long is no longer known.
fn limit(value: &mut Value) {
    if value.text.len() > MAX_TEXT {
        value.text = UNKNOWN.to_string();
        value.taint.cut = true;
    }
}
