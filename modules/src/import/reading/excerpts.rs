//! What the blocks of a text give to be run: commands, compose files, containers.

use std::ops::Range;

use super::code::{is_program, looks_like_command};
use super::{Placed, topic_of};
use crate::import::Origin;
use crate::import::compose_file::{self, ComposeFile};
use crate::import::container::Container;
use crate::import::docker_run;
use crate::import::document::{Block, Document, Kind, Style};
use crate::import::launcher;
use crate::import::parallel::both;
use crate::import::shell::{self, Command};
use crate::import::words::Topic;

/// All in the order of the text.
#[derive(Default)]
pub struct Excerpts {
    pub commands: Vec<Placed<Command>>,
    pub composes: Vec<Placed<ComposeFile>>,
    pub runs: Vec<Placed<Container>>,
}

/// Where the excerpts are from that are read.
struct Place<'r> {
    path: &'r str,
    block: usize,
    topic: Topic,
}

impl Excerpts {
    pub fn of(path: &str, document: &Document, topics: &[Topic]) -> Self {
        let read = |range: Range<usize>| {
            let mut excerpts = Self::default();
            for (index, block) in range.clone().zip(&document.blocks[range]) {
                let place = Place { path, block: index, topic: topic_of(topics, block) };
                excerpts.read_block(block, &place);
            }
            excerpts
        };
        let count = document.blocks.len();
        let (mut excerpts, rest) = both(count, || read(0..count / 2), || read(count / 2..count));
        excerpts.commands.extend(rest.commands);
        excerpts.composes.extend(rest.composes);
        excerpts.runs.extend(rest.runs);
        excerpts
    }

    fn read_block(&mut self, block: &Block, place: &Place<'_>) {
        match &block.kind {
            Kind::Code(language) => self.read_code(language, &block.rich.text, block.line, place),
            Kind::Table(table) => {
                for row in &table.rows {
                    for (_, code) in row.cells.iter().flat_map(|cell| cell.code()) {
                        self.read_inline(code, row.line, place);
                    }
                }
            }
            Kind::Heading(_) | Kind::Paragraph | Kind::Item | Kind::Quote => {
                for (at, code) in block.rich.code() {
                    self.read_inline(code, block.line_at(at), place);
                }
                for (line, text) in typed(block) {
                    self.read_commands(shell::commands(text, line), place);
                }
            }
        }
    }

    /// Code within a sentence.
    fn read_inline(&mut self, code: &str, line: u32, place: &Place<'_>) {
        if looks_like_command(code) {
            for command in shell::commands(code, line) {
                self.push(command, place, true);
            }
        }
    }

    fn read_code(&mut self, language: &str, text: &str, line: u32, place: &Place<'_>) {
        let is_yaml = language.contains("yaml") || language.contains("yml") || language.contains("compose");
        if is_yaml || !is_program(language) && text.contains("image:") {
            if let Some(file) = compose_file::read(text, line) {
                self.composes.push(place.put(file, line, false));
                return;
            }
            if is_yaml {
                return;
            }
        }
        self.read_commands(launcher::commands(text, line), place);
        if !is_program(language) {
            self.read_commands(shell::commands(text, line), place);
        }
    }

    fn read_commands(&mut self, commands: Vec<Command>, place: &Place<'_>) {
        for command in commands {
            self.push(command, place, false);
        }
    }

    fn push(&mut self, command: Command, place: &Place<'_>, is_inline: bool) {
        let line = command.line;
        if let Some(run) = docker_run::read(&command) {
            self.runs.push(place.put(Container::of_run(run, line), line, is_inline));
        }
        self.commands.push(place.put(command, line, is_inline));
    }
}

impl Place<'_> {
    fn put<T>(&self, value: T, line: u32, is_inline: bool) -> Placed<T> {
        let origin = Origin { file: self.path.to_owned(), line };
        Placed { value, origin, topic: self.topic, block: Some(self.block), is_inline }
    }
}

/// Lines of a text that are commands though nothing marks them as code: `curl … | sh`.
fn typed(block: &Block) -> Vec<(u32, &str)> {
    let text = &block.rich.text;
    if !text.contains('|') || !text.contains("http") {
        return Vec::new();
    }
    let is_marked =
        |at: usize| block.rich.spans.iter().any(|span| span.style == Style::Code && span.range.contains(&at));
    let is_shell = |word: &str| matches!(word, "sh" | "bash");
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split('\n') {
        let begins = ["curl ", "wget ", "sudo curl ", "sudo wget "].iter().any(|word| line.starts_with(word));
        let pipe = line.rsplit_once('|').map_or("", |(_, rest)| rest.trim_start());
        let shell = pipe.strip_prefix("sudo ").unwrap_or(pipe).split_whitespace().next().unwrap_or_default();
        if begins && is_shell(shell) && !is_marked(at) {
            found.push((block.line_at(at), line));
        }
        at += line.len() + 1;
    }
    found
}
