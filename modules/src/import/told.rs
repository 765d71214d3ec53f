//! What the words of a text tell of the project, whatever the way to run it.

use super::facts::Found;
use super::fields::{arch, description, health, homepage, license, memory, name};
use super::reading::Reading;
use super::words::WordList;
use super::{Files, Source};

/// As many facts as need no command and no container.
pub struct Told {
    pub name: Found<String>,
    pub description: Option<Found<String>>,
    pub arch: Vec<Found<String>>,
    pub memory: Option<Found<u64>>,
    pub health_path: Option<Found<String>>,
    pub license: Option<Found<String>>,
    pub homepage: Option<Found<String>>,
    pub is_unmaintained: bool,
}

impl Told {
    pub fn find(reading: &Reading, files: &Files, source: &Source) -> Self {
        Self {
            name: name::find(&reading.document, &reading.path, source),
            description: description::find(reading),
            arch: arch::find(reading),
            memory: memory::find(reading),
            health_path: health::path(reading),
            license: license::find(reading, files),
            homepage: homepage::find(reading),
            is_unmaintained: is_unmaintained(reading),
        }
    }
}

static UNMAINTAINED: WordList = WordList::new(&[
    "no longer maintained",
    "unmaintained",
    "not maintained",
    "is archived",
    "been archived",
    "no longer being developed",
    "project is dead",
    "is deprecated",
    "has been deprecated",
    "不再维护",
    "停止维护",
    "メンテナンスされていません",
]);

fn is_unmaintained(reading: &Reading) -> bool {
    let head = reading.document.blocks.iter().take(25).filter(|block| !block.is_code());
    head.into_iter().any(|block| block.rich.text.len() < 600 && block.rich.has(&UNMAINTAINED))
}
