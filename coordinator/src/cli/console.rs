//! Where the command line writes: stdout is data, stderr is talk. Knows what each of them can show.

use std::io::{IsTerminal, Write};

use super::problem::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// What one output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    pub is_terminal: bool,
    pub has_color: bool,
    pub has_unicode: bool,
    /// Columns; `None` where lines may be of any length.
    pub width: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
    Bold,
}

impl Look {
    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
            Style::Dim => "2",
            Style::Bold => "1",
        };
        if self.has_color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn ellipsis(&self) -> &'static str {
        if self.has_unicode { "…" } else { "..." }
    }
}

/// Other machines' words must not steer the terminal: control characters become spaces.
pub fn printable(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The two outputs of one run.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    pub format: Format,
    pub out: Look,
    pub err: Look,
}

impl Console {
    pub fn new(format: Format, color: Color) -> Self {
        let has_unicode = locale_is_utf8(|name| std::env::var(name).ok());
        let look = |is_terminal: bool, width: Option<usize>| Look {
            is_terminal,
            has_color: wants_color(
                color,
                is_terminal,
                std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()),
            ),
            has_unicode,
            width,
        };
        let (out, err) = (std::io::stdout(), std::io::stderr());
        Self {
            format,
            out: look(out.is_terminal(), columns(&out)),
            err: look(err.is_terminal(), columns(&err)),
        }
    }

    /// Writes data. What is piped into a program that has ended ends the command without a word.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        self.print_bytes(text.as_bytes())
    }

    pub fn print_bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::from_stdout)
    }

    pub fn print_json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).expect("our JSON shapes have text keys only");
        self.print(&(text + "\n"))
    }

    /// One JSON value on one line, for streams.
    pub fn print_json_line(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).expect("our JSON shapes have text keys only");
        self.print(&(text + "\n"))
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Talks to the person. Nothing is lost for a script when stderr is closed.
    pub fn say(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    }
}

fn wants_color(color: Color, is_terminal: bool, no_color: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && !no_color,
    }
}

fn columns(output: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(output).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

fn locale_is_utf8(env: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_only_where_a_person_sees_it_or_asked_for_it() {
        assert!(wants_color(Color::Auto, true, false));
        assert!(!wants_color(Color::Auto, true, true), "NO_COLOR");
        assert!(!wants_color(Color::Auto, false, false), "piped");
        assert!(wants_color(Color::Always, false, true));
        assert!(!wants_color(Color::Never, true, false));
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let check = |variables: &[(&str, &str)], utf8: bool| {
            let env =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(locale_is_utf8(env), utf8, "{variables:?}");
        };
        check(&[("LANG", "de_DE.UTF-8")], true);
        check(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")], false);
        check(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")], true);
        check(&[], false);
    }
}
