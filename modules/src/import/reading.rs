//! The files of a repository, read once: documents, commands, compose files, manifests.

use super::compose_file::{self, ComposeFile};
use super::container::Container;
use super::document::{Block, Document, Kind, Section};
use super::fields::name;
use super::image::ImageName;
use super::names::Identity;
use super::shell::Command;
use super::words::{self, Topic};
use super::{Files, Origin};

mod code;
mod excerpts;

pub use code::{is_program, is_source};
use excerpts::Excerpts;

/// All that the rules look at.
pub struct Reading {
    pub identity: Identity,
    pub path: String,
    pub document: Document,
    pub topics: Vec<Topic>,
    pub commands: Vec<Placed<Command>>,
    pub composes: Vec<Placed<ComposeFile>>,
    /// `docker run` and its like.
    pub runs: Vec<Placed<Container>>,
}

/// Something at its place in the README, or in another file.
#[derive(Debug)]
pub struct Placed<T> {
    pub value: T,
    pub origin: Origin,
    pub topic: Topic,
    /// The block it is in; none for a file of its own.
    pub block: Option<usize>,
    /// It stands within a sentence.
    pub is_inline: bool,
}

impl Reading {
    pub fn new(identity: Identity, path: &str, text: &str, files: &Files) -> Self {
        let document = Document::read(path, text);
        let topics = topics(&document);
        let Excerpts { commands, composes, runs } = Excerpts::of(path, &document, &topics);
        let mut reading =
            Self { identity, path: path.to_owned(), document, topics, commands, composes, runs };
        for (path, text) in files.compose() {
            reading.read_file(path, &text);
        }
        reading
    }

    /// Learns further names of the project from its title and its manifests.
    pub fn learn_names(&mut self, files: &Files) {
        if let Some((title, _)) = name::title(&self.document)
            && title.split_whitespace().count() <= 3
        {
            // "Lamp to MQTT" is `lamp2mqtt` where no blank may be.
            if let Some((from, to)) = title.to_lowercase().split_once(" to ") {
                self.identity.learn(format!("{from}2{to}"));
            }
            self.identity.learn(title);
        }
        let bare = name::bare(&self.identity.repository).to_owned();
        if bare != self.identity.repository {
            self.identity.learn(bare);
        }
        for (path, key) in [("package.json", "\"name\""), ("pyproject.toml", "name"), ("Cargo.toml", "name")]
        {
            let Some(text) = files.text(path) else { continue };
            let line = text.lines().find(|line| line.trim_start().starts_with(key));
            let value = line.and_then(|line| line.split_once([':', '=']));
            let value = value.map(|(_, value)| value.trim().trim_matches(['"', '\'', ',', ' ']).to_owned());
            if let Some(value) = value.filter(|value| !value.is_empty() && value.len() < 60) {
                self.identity.learn(value);
            }
        }
    }

    pub fn block(&self, index: usize) -> &Block {
        &self.document.blocks[index]
    }

    pub fn section(&self, block: &Block) -> &Section {
        &self.document.sections[block.section]
    }

    pub fn topic_of(&self, block: &Block) -> Topic {
        topic_of(&self.topics, block)
    }

    /// The blocks of text, outside of code, that are about using the project.
    pub fn prose(&self) -> impl Iterator<Item = &Block> {
        self.document.blocks.iter().filter(|block| {
            !block.is_code() && !matches!(self.topic_of(block), Topic::Development | Topic::Elsewhere)
        })
    }

    pub fn origin(&self, line: u32) -> Origin {
        Origin { file: self.path.clone(), line }
    }

    /// Whether a section about installing names a file of services and says to start them.
    fn tells_to_start(&self, path: &str) -> bool {
        let stem = path.trim_end_matches(".yml").trim_end_matches(".yaml").to_ascii_lowercase();
        let of_section = |blocks: &[Block]| {
            let says = |what: &[&str]| blocks.iter().any(|block| words::any(block.rich.lower(), what));
            self.topic_of(&blocks[0]) == Topic::Install
                && says(&["compose.yml", "compose.yaml"])
                && says(&["compose up"])
        };
        matches!(stem.as_str(), "compose" | "docker-compose")
            && (self.document.blocks.chunk_by(|one, next| one.section == next.section).any(of_section)
                || self.tells_in_chapter())
    }

    /// Whether a section about installing names the file, and another of the same chapter has the command.
    fn tells_in_chapter(&self) -> bool {
        let chapter = |block: &Block| {
            self.document.path(block.section).find(|section| section.level <= 2).map(|section| section.line)
        };
        let names = |block: &&Block| {
            self.topic_of(block) == Topic::Install
                && words::any(block.rich.lower(), &["compose.yml", "compose.yaml"])
        };
        let chapters: Vec<Option<u32>> = self.document.blocks.iter().filter(names).map(chapter).collect();
        let ups = self.commands.iter().filter(|placed| super::routes::is_up(&placed.value));
        ups.filter(|up| up.topic != Topic::Development)
            .filter_map(|up| up.block)
            .any(|block| chapters.contains(&chapter(self.block(block))))
    }

    fn read_file(&mut self, path: &str, text: &str) {
        if let Some(file) = compose_file::read(text, 1) {
            let origin = Origin { file: path.to_owned(), line: 1 };
            let is_told = || is_built_here(&file) && self.tells_to_start(path);
            let topic = match is_for_development(path, &file) {
                true if !is_told() => Topic::Development,
                _ => Topic::Install,
            };
            self.composes.push(Placed { value: file, origin, topic, block: None, is_inline: false });
        }
    }
}

/// What the section of a block is about.
fn topic_of(topics: &[Topic], block: &Block) -> Topic {
    topics.get(block.section).copied().unwrap_or(Topic::Other)
}

/// Whether a file only builds and starts the project, and mounts none of its sources.
fn is_built_here(file: &ComposeFile) -> bool {
    let is_own = |container: &Container| container.is_built && !mounts_sources(container);
    !file.services.is_empty() && file.services.iter().all(is_own)
}

/// What each section is about; the strictest of its own heading and those above counts.
fn topics(document: &Document) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for (index, section) in document.sections.iter().enumerate() {
        let above =
            section.parent.filter(|parent| *parent < index).map_or(Topic::Other, |parent| topics[parent]);
        // The title of the whole is its name, whatever words are in it.
        let is_title = section.level <= 1 && index <= 1 && !follows_text(document, index);
        let own = if is_title { Topic::Other } else { words::topic(&section.title) };
        let is_next_step = || {
            let above = section.parent.map_or("", |parent| document.sections[parent].lower.as_str());
            matches!(own, Topic::Install | Topic::Other)
                && is_build_of_image(above)
                && is_start(&section.lower)
        };
        topics.push(match (own, above) {
            (_, Topic::Development) if is_next_step() => Topic::Install,
            (_, Topic::Development | Topic::Upkeep | Topic::Elsewhere | Topic::Kubernetes) => above,
            (Topic::Other, above) => above,
            (own, _) => own,
        });
    }
    topics
}

/// "Build the container", below which it may well be told how to run it.
fn is_build_of_image(title: &str) -> bool {
    title.starts_with("build") && words::any(title, &["container", "image", "docker"])
}

/// "Run the container", "(or) pull the image".
fn is_start(title: &str) -> bool {
    let title = title.trim_start_matches("(or)").trim_start_matches("or ").trim_start();
    ["run", "pull", "start"].iter().any(|verb| title.starts_with(verb))
}

/// Whether a heading of one word, such as "Installation", comes after a text that has said what the project is and
/// before others of its level.
fn follows_text(document: &Document, index: usize) -> bool {
    let section = &document.sections[index];
    let is_text = |block: &&Block| matches!(block.kind, Kind::Paragraph) && block.rich.text.len() > 60;
    let has_equals = document.sections.iter().filter(|other| other.level == section.level).count() > 1;
    has_equals
        && section.title.split_whitespace().count() == 1
        && document.blocks.iter().take_while(|block| block.line < section.line).any(|block| is_text(&block))
}

/// Whether a container sees the sources of the project, as one does who works on them.
pub fn mounts_sources(container: &Container) -> bool {
    let is_source = |source: Option<&str>| matches!(source, Some("." | "./" | "./src" | "$PWD" | "${PWD}"));
    container.mounts.iter().any(|mount| is_source(mount.source.as_deref()))
}

/// Whether a compose file in the repository is for those who work on it.
pub fn is_for_development(path: &str, file: &ComposeFile) -> bool {
    let path = path.to_ascii_lowercase();
    let head = file.head.to_lowercase();
    let is_named = ["dev", "test", "ci", "local", "debug", "build", "e2e"].iter().any(|word| {
        path.split(['/', '.', '-', '_'])
            .any(|part| part.strip_suffix("elopment").unwrap_or(part.trim_end_matches("ing")) == *word)
    });
    let says_so =
        words::any(&head, &["development", "testing purpose", "for test", "dev only", "开发", "開発"])
            && !head.contains("production deployment of");
    let is_pulled = |container: &Container| container.image.is_some() && !container.is_built;
    let builds = file.services.iter().any(|service| service.is_built);
    // `owner/lamp-test`: what tests run against.
    let is_for_tests = |container: &Container| {
        let image = container.image.as_deref().and_then(ImageName::parse);
        image.is_some_and(|image| image.short().split(['-', '_', '.']).any(|part| part == "test"))
    };
    is_named
        || says_so
        || file.services.iter().any(is_for_tests)
        || builds
            && (file.services.iter().any(mounts_sources)
                || !file.services.iter().any(is_pulled)
                    && file
                        .services
                        .iter()
                        .all(|service| service.image.as_deref().is_none_or(|image| !image.contains('/'))))
}
