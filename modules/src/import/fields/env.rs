//! The environment variables that can be set: from examples, tables, lists, listings and sentences.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::container::Container;
use crate::import::document::{Block, Kind};
use crate::import::facts::{Confidence, EnvFact, Found};
use crate::import::reading::Reading;
use crate::import::words::{self, WordList};

use super::{env_default, env_listing, env_table, env_text, env_usage};

/// More variables than that nobody sets.
const MAX_VARIABLES: usize = 1000;

/// Collects variables; the first mention gives the place, later ones fill gaps.
#[derive(Default)]
pub struct Variables {
    pub found: Vec<Found<EnvFact>>,
    /// Where each name is among them.
    places: BTreeMap<String, usize>,
    /// Names that are told or set by themselves, not as another spelling of one.
    alone: BTreeSet<String>,
}

impl Variables {
    pub fn add(&mut self, fact: EnvFact, origin: crate::import::Origin, confidence: Confidence) {
        let place = self.places.get(&fact.name).copied();
        let Some(known) = place.and_then(|place| self.found.get_mut(place)) else {
            if self.found.len() < MAX_VARIABLES {
                self.places.insert(fact.name.clone(), self.found.len());
                self.found.push(Found { value: fact, origin, confidence });
            }
            return;
        };
        let value = &mut known.value;
        value.default = value.default.take().or(fact.default);
        value.example = value.example.take().or(fact.example);
        value.required = match (value.required, fact.required) {
            (Some(known), Some(new)) => Some(known || new),
            (known, new) => known.or(new),
        };
        if value.description.is_empty() {
            value.description = fact.description;
        }
        value.is_commented &= fact.is_commented;
        known.confidence = known.confidence.max(confidence);
    }

    /// A name that is listed with nothing else.
    pub fn told_alone(&mut self, name: &str, origin: crate::import::Origin) {
        let fact = EnvFact { name: name.to_owned(), ..EnvFact::default() };
        self.add(fact, origin, Confidence::Read);
        self.alone.insert(name.to_owned());
    }

    /// Told by itself, not as another spelling of one.
    pub fn stands_alone(&mut self, name: &str) {
        if name.ends_with("_FILE") {
            self.alone.insert(name.to_owned());
        }
    }

    pub fn knows(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }
}

/// Variables of the caller's shell are none of the project's.
pub fn is_settable(name: &str) -> bool {
    // What the kernel grants.
    let is_capability = name.starts_with("CAP_NET_") || name.starts_with("CAP_SYS_");
    !is_capability
        && !matches!(
            name,
            "PATH"
                | "HOME"
                | "PWD"
                | "USER"
                | "SHELL"
                | "LANG"
                | "LC_ALL"
                | "DISPLAY"
                | "BASH_ENV"
                | "PIP_INDEX_URL"
                | "GOROOT"
                | "GOPATH"
                | "GOBIN"
                | "CGO_ENABLED"
                | "GOOS"
                | "GOARCH"
                | "GOPROXY"
                | "GO111MODULE"
                | "TERM"
                | "DEBIAN_FRONTEND"
                | "PYTHONPATH"
                | "VERSION"
                | "COMPOSE_PROJECT_NAME"
                | "DOCKER_BUILDKIT"
                | "DOCKER_HOST"
                | "DOCKER_CERT_PATH"
                | "DOCKER_TLS_VERIFY"
                | "NODE_OPTIONS"
                | "ARCHFLAGS"
                | "CFLAGS"
                | "CPPFLAGS"
                | "CXXFLAGS"
                | "LDFLAGS"
                | "RUSTFLAGS"
                | "MAKEFLAGS"
                | "DESTDIR"
                | "DOCKER_OPTS"
                | "PKG_CONFIG_PATH"
                | "LD_LIBRARY_PATH"
        )
}

/// The variables of the containers that are the project, then those of the text.
pub fn find(reading: &Reading, containers: &[(&Container, &str)]) -> Vec<Found<EnvFact>> {
    let mut variables = Variables::default();
    for (container, file) in containers {
        for entry in &container.env {
            let origin = crate::import::Origin { file: (*file).to_owned(), line: entry.line };
            let lower = entry.comment.to_lowercase();
            let required = if words::OPTIONAL.is_in(&lower) {
                Some(false)
            } else if entry.is_commented {
                None
            } else {
                words::REQUIRED.is_in(&lower).then_some(true)
            };
            let fact = EnvFact {
                name: entry.name.clone(),
                default: env_default::of_entry(entry),
                example: entry.value.clone().filter(|value| !value.is_empty()),
                required,
                description: entry.comment.clone(),
                is_commented: entry.is_commented,
            };
            variables.add(fact, origin, Confidence::Read);
            if !entry.is_commented {
                variables.stands_alone(&entry.name);
            }
        }
    }
    let is_bold_default = env_text::says_bold_is_default(reading);
    for run in &reading.runs {
        let image = run.value.image.as_deref().unwrap_or_default();
        let is_elided = image.is_empty() || image.trim_matches('.').is_empty() || image == "…";
        if is_elided && !matches!(run.topic, words::Topic::Development | words::Topic::Elsewhere) {
            for entry in &run.value.env {
                let fact =
                    EnvFact { name: entry.name.clone(), example: entry.value.clone(), ..EnvFact::default() };
                variables.add(fact, run.origin.clone(), Confidence::Inferred);
            }
        }
    }
    for (index, block) in reading.document.blocks.iter().enumerate() {
        let topic = reading.topic_of(block);
        if matches!(topic, words::Topic::Development | words::Topic::Elsewhere | words::Topic::Kubernetes) {
            continue;
        }
        match &block.kind {
            Kind::Table(table) => {
                for row in &table.rows {
                    row.cells
                        .iter()
                        .for_each(|cell| env_text::lookups(reading, &cell.text, row.line, &mut variables));
                }
                env_table::from_table(reading, index, block, table, &mut variables);
            }
            Kind::Item => env_text::from_item(reading, index, block, &mut variables),
            Kind::Code(language) => env_listing::from_code(reading, index, block, language, &mut variables),
            Kind::Paragraph | Kind::Quote => {
                if env_text::is_definition(block) {
                    env_text::from_item(reading, index, block, &mut variables);
                }
                env_text::from_sentence(reading, index, block, &mut variables);
            }
            Kind::Heading(_) => env_text::from_heading(reading, block, is_bold_default, &mut variables),
        }
    }
    let is_said = |block: &&Block| matches!(block.kind, Kind::Paragraph | Kind::Quote);
    for block in reading.prose().filter(is_said) {
        env_usage::said_defaults(reading, block, &mut variables);
    }
    env_usage::before_start(reading, &mut variables);
    env_usage::fallbacks(reading, &mut variables);
    without_file_variants(&mut variables);
    without_families(&mut variables.found);
    without_samples(reading, &mut variables.found);
    demanded(reading, &mut variables.found);
    if says_all_are_required(reading) {
        for known in &mut variables.found {
            let is_optional = words::OPTIONAL.is_in(&known.value.description.to_lowercase());
            if known.value.required.is_none() && !is_optional && !known.value.is_commented {
                known.value.required = Some(true);
            }
        }
    }
    variables.found
}

/// `NAME_FILE` beside `NAME` is the same variable, read from a file, unless the text tells of it by itself.
fn without_file_variants(variables: &mut Variables) {
    let Variables { found, alone, .. } = variables;
    let names: BTreeSet<String> = found.iter().map(|known| known.value.name.clone()).collect();
    found.retain(|known| {
        let base = known.value.name.strip_suffix("_FILE");
        !known.value.description.is_empty()
            || alone.contains(&known.value.name)
            || base.is_none_or(|base| !names.contains(base))
    });
}

/// "None of the `REDIS` variables": the beginning of the names of several, which nothing else tells of.
fn without_families(found: &mut Vec<Found<EnvFact>>) {
    let names: Vec<String> = found.iter().map(|known| known.value.name.clone()).collect();
    let is_family = |name: &str| {
        let of_it = |other: &&String| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
        !name.contains('_') && names.iter().filter(of_it).count() > 1
    };
    found.retain(|known| {
        let EnvFact { name, default, example, description, .. } = &known.value;
        let is_told = default.is_some() || example.is_some() || !description.is_empty();
        is_told || known.confidence != Confidence::Inferred || !is_family(name)
    });
}

/// `FILE__PASSWORD=/run/secrets/x` shows how any variable is read from a file; the name in it is a sample.
fn without_samples(reading: &Reading, found: &mut Vec<Found<EnvFact>>) {
    let texts = reading.document.blocks.iter().map(|block| block.rich.text.as_str());
    let texts: Vec<&str> = texts.filter(|text| text.contains("FILE__")).collect();
    if texts.is_empty() {
        return;
    }
    let is_sample = |name: &str| {
        let sample = format!("FILE__{name}");
        texts.iter().any(|text| words::has_word(text, &sample))
    };
    let is_shown =
        |known: &Found<EnvFact>| known.value.example.is_some() || !known.value.description.is_empty();
    found.retain(|known| {
        !known.value.name.starts_with("FILE__") && (is_shown(known) || !is_sample(&known.value.name))
    });
}

static DEMANDS: WordList = WordList::new(&[
    "make sure to",
    "you must",
    "must set",
    "must be set",
    "need to set",
    "have to set",
    "必须设置",
    "be sure to set",
    "optional except",
    "otherwise you will",
    "otherwise it will",
    "otherwise it won't",
]);

/// What a section is headed whose items must be there before.
static NEEDED_BEFORE: WordList = WordList::new(&[
    "requirement",
    "prerequisite",
    "requisito",
    "voraussetzung",
    "prérequis",
    "前提条件",
    "前置条件",
    "требовани",
]);

/// "Make sure to pass `NAME`."
fn demanded(reading: &Reading, found: &mut [Found<EnvFact>]) {
    let says = |block: &&Block| {
        !matches!(block.kind, Kind::Table(_) | Kind::Heading(_)) && DEMANDS.is_in(block.rich.lower())
    };
    let places: BTreeMap<String, usize> =
        found.iter().enumerate().map(|(place, known)| (known.value.name.clone(), place)).collect();
    let mut demand = |block: &Block, text: &str| {
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|name| env_text::is_upper_name(name)) {
            let is_code = || block.rich.code().any(|(_, code)| code == name);
            let Some(place) = places.get(name).filter(|_| name.contains('_') || is_code()) else { continue };
            let required = &mut found[*place].value.required;
            *required = required.or(Some(true));
        }
    };
    let is_needed = |block: &&Block| {
        matches!(block.kind, Kind::Item) && NEEDED_BEFORE.is_in(&reading.section(block).lower)
    };
    for block in reading.prose().filter(is_needed) {
        if !words::OPTIONAL.is_in(block.rich.lower()) {
            demand(block, &block.rich.text);
        }
    }
    for block in reading.prose().filter(says) {
        for sentence in super::description::sentences(&block.rich.text) {
            let lower = sentence.to_lowercase().replace('\n', " ");
            if sentence.len() <= 400 && DEMANDS.is_in(&lower) && !lower.contains(" if ") {
                demand(block, sentence);
            }
        }
    }
}

/// "Unless a parameter is flagged as 'optional', it is mandatory."
fn says_all_are_required(reading: &Reading) -> bool {
    reading.document.blocks.iter().any(|block| {
        let text = &block.rich.text;
        text.len() < 600
            && text.contains("mandatory")
            && text.contains("optional")
            && text.to_lowercase().contains("unless")
    })
}

/// Whether a block is where variables are spoken of: its headings, or what stands before it.
pub fn in_context(reading: &Reading, index: usize, block: &Block) -> bool {
    let says = |text: &str| {
        let lower = format!(" {text} ");
        words::ENVIRONMENT.is_in(&lower) && !words::any(&lower, &[".conf`", ".ini`", "/etc/"])
    };
    let is_title = |title: &str| {
        says(title) || matches!(title.trim_matches(':'), "environment" | "variables" | "environments")
    };
    let mut titles = reading.document.path(block.section).take(2);
    let by_title = titles.any(|section| is_title(&section.lower)) && !in_file(reading, index, block);
    let before = reading.document.blocks[..index]
        .iter()
        .rev()
        .take(300)
        .take_while(|before| before.section == block.section);
    let before = before
        .filter(|before| !matches!(before.kind, Kind::Item | Kind::Table(_)) && !before.is_code())
        // Where each variable has a paragraph of its own, what is said before the first of them.
        .filter(|before| !env_text::is_definition(before))
        .take(1);
    // The words of an item that end with a colon speak of what follows.
    let leads = |before: &Block| {
        let text = before.rich.text.trim_end();
        matches!(before.kind, Kind::Item)
            && text.ends_with(':')
            && text.len() < 400
            && says(before.rich.lower())
    };
    by_title
        || block.is_code() && index.checked_sub(1).is_some_and(|before| leads(reading.block(before)))
        || before.into_iter().any(|before| before.rich.text.len() < 1200 && says(before.rich.lower()))
}

/// Whether the words before a block say that its names belong into a file of settings.
pub fn in_file(reading: &Reading, index: usize, block: &Block) -> bool {
    let before = reading.document.blocks[..index]
        .iter()
        .rev()
        .take(300)
        .take_while(|before| before.section == block.section);
    let before = before
        .filter(|before| !matches!(before.kind, Kind::Item | Kind::Table(_)) && !before.is_code())
        .take(1);
    before.into_iter().any(|before| {
        let text = before.rich.lower();
        let named = words::any(text, &[".conf", ".ini", ".toml", ".cfg", "/etc/"]);
        named && !words::ENVIRONMENT.is_in(&format!(" {text} "))
    })
}

static NOT_REQUIRED: WordList = WordList::new(&[
    "required if",
    "required when",
    "only required",
    "not necessary",
    "no value",
    "can be left empty",
    "may be left empty",
    "leave empty",
    "leave blank",
    "can be empty",
    "if not set",
    "if unset",
    "if required",
]);
static MARKED_REQUIRED: WordList = WordList::new(&[
    "(required",
    "[required",
    "**required",
    "required.",
    "required:",
    "(mandatory",
    "(必",
    "（必",
    "[必",
    "【必",
    "必须设置",
    "必填",
    "erforderlich",
    "(필수",
    "필수)",
    "(requis",
    "(obligat",
    "obligatorio",
    "обязательн",
    "mandatory",
    "*required*",
    "must be set",
    "will not start",
    "won't start",
    "refuses to start",
    "- required",
    "required,",
    "required)",
]);

/// What words beside a name say about its being required.
pub fn requirement(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let at_start = lower
        .split_whitespace()
        .take(3)
        .any(|word| word.trim_matches(|c: char| !c.is_alphanumeric()) == "required");
    // "Required: the host and an optional port".
    let is_labelled = at_start && lower.split_whitespace().take(3).any(|word| word.starts_with("required:"));
    if !is_labelled && words::OPTIONAL.is_in(&lower) || NOT_REQUIRED.is_in(&lower) {
        return Some(false);
    }
    let end = lower.trim_end_matches(|c: char| !c.is_alphanumeric());
    let at_end =
        [". required", ": required", "; required", "- required"].iter().any(|word| end.ends_with(word));
    (MARKED_REQUIRED.is_in(&lower) || at_start || at_end).then_some(true)
}

/// A description of bearable length, on one line.
pub fn short(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_start_matches(['-', ':', '–', '—', '=', '：', ' ', ')', '.']).trim();
    if text.chars().count() <= 200 {
        return text.to_owned();
    }
    let cut: String = text.chars().take(197).collect();
    format!("{}…", cut.trim_end())
}
