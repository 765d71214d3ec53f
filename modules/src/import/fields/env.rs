//! The environment variables that can be set: from examples, tables, lists, listings and sentences.

use crate::import::container::Container;
use crate::import::document::{Block, Kind, Rich};
use crate::import::facts::{Confidence, EnvFact, Found};
use crate::import::reading::Reading;
use crate::import::words;

use super::env_required::{demanded, says_all_are_required};
use super::env_variables::Variables;
use super::{env_default, env_listing, env_table, env_text, env_usage};

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
                        .for_each(|cell| env_text::lookups(reading, cell, row.line, &mut variables));
                }
                env_table::from_table(reading, index, block, table, &mut variables);
            }
            Kind::Item => env_text::from_item(reading, index, block, &mut variables),
            Kind::Code(language) => env_listing::from_code(reading, index, block, language, &mut variables),
            Kind::Paragraph | Kind::Quote => {
                if env_text::is_definition(block) {
                    env_text::from_item(reading, index, block, &mut variables);
                }
                env_listing::from_lines(reading, index, block, &mut variables);
                env_text::from_sentence(reading, index, block, &mut variables);
            }
            Kind::Heading(_) => env_text::from_heading(reading, block, is_bold_default, &mut variables),
        }
    }
    let is_said = |block: &&Block| matches!(block.kind, Kind::Paragraph | Kind::Quote);
    for block in reading.prose().filter(is_said) {
        env_usage::said_defaults(reading, block, &mut variables);
    }
    env_usage::of_own_family(reading, &mut variables);
    env_usage::before_start(reading, &mut variables);
    env_usage::fallbacks(reading, &mut variables);
    interpolated(reading, &mut variables);
    variables.drop_file_variants();
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

/// What compose files take for variables that the text tells of, where they are not set.
fn interpolated(reading: &Reading, variables: &mut Variables) {
    let is_for_use = |topic| !matches!(topic, words::Topic::Development | words::Topic::Elsewhere);
    let files = reading.composes.iter().filter(|file| is_for_use(file.topic));
    for (file, (name, default)) in
        files.flat_map(|file| file.value.defaults.iter().map(move |pair| (file, pair)))
    {
        if variables.knows(name) {
            let fact =
                EnvFact { name: name.clone(), default: env_default::value(default), ..EnvFact::default() };
            variables.add(fact, file.origin.clone(), Confidence::Inferred);
        }
    }
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

/// Whether a block is where variables are spoken of: its headings, or what stands before it.
pub fn in_context(reading: &Reading, index: usize, block: &Block) -> bool {
    let is_of_file = |lower: &str| words::any(lower, &[".conf`", ".ini`", "/etc/"]);
    // "The file is at `/etc/lamp.conf`. These variables are read:" speaks of both, and leads to variables.
    let leads_to_them = |lower: &str| {
        let last = lower.trim_end().rsplit(". ").next().unwrap_or_default();
        last.ends_with([':', '：']) && words::ENVIRONMENT.is_in(last) && !is_of_file(last)
    };
    let says = |rich: &Rich| {
        let lower = rich.lower();
        words::speaks_of_environment(rich) && (!is_of_file(lower) || leads_to_them(lower))
    };
    let is_title = |title: &str| {
        words::ENVIRONMENT.is_in(&words::padded(title)) && !is_of_file(title)
            || matches!(title.trim_matches(':'), "environment" | "variables" | "environments")
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
        matches!(before.kind, Kind::Item) && text.ends_with(':') && text.len() < 400 && says(&before.rich)
    };
    by_title
        || block.is_code() && index.checked_sub(1).is_some_and(|before| leads(reading.block(before)))
        || before.into_iter().any(|before| before.rich.text.len() < 1200 && says(&before.rich))
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
        named && !words::speaks_of_environment(&before.rich)
    })
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
