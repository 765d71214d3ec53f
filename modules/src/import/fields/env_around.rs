//! What stands around an item: whether it is one of a list of variables, or of the values of one.

use super::env_text::is_upper_name;
use super::env_variables::Variables;
use crate::import::document::{Block, Kind};
use crate::import::reading::Reading;
use crate::import::words::{self, speaks_of_environment};

/// Whether an item is one of the values that one before it announces: "`LAMP_MODE`: one of these values:".
pub fn is_value_of_another(reading: &Reading, index: usize, block: &Block) -> bool {
    let before = reading.document.blocks[..index].iter().rev().take(6);
    let mut before =
        before.take_while(|before| before.section == block.section && matches!(before.kind, Kind::Item));
    before.find(|before| before.rich.text.trim_end().ends_with(':')).is_some_and(|before| {
        words::any(before.rich.lower(), &["values", "one of", "options are", "choices"])
    })
}

/// How far around an item others of its list are looked at.
const NEIGHBOURS: usize = 12;

/// Whether other items of the section begin with variables that an example sets.
pub fn is_among_known(reading: &Reading, index: usize, block: &Block, variables: &Variables) -> bool {
    let blocks = &reading.document.blocks;
    let around = index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS).min(blocks.len());
    let others = blocks[around].iter().filter(|other| {
        matches!(other.kind, Kind::Item) && other.section == block.section && other.line != block.line
    });
    let names = others.map(|other| {
        let text = other.rich.text.trim_start();
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
    });
    names.filter(|name| is_upper_name(name) && variables.knows(name)).count() > 0
}

/// Whether most items around begin with such a name, in a section on installing or configuring.
pub fn is_in_list_of_names(reading: &Reading, index: usize, block: &Block) -> bool {
    let title = reading.section(block).lower.as_str();
    let is_about = reading.topic_of(block) == words::Topic::Install
        || words::any(title, &["config", "option", "setting", "customi", "配置", "设置", "設定", "einstell"]);
    if !is_about || super::env::in_file(reading, index, block) {
        return false;
    }
    let blocks = &reading.document.blocks;
    let around = index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS).min(blocks.len());
    let others = blocks[around].iter().filter(|other| {
        matches!(other.kind, Kind::Item) && other.section == block.section && other.line != block.line
    });
    let begins = |other: &&Block| {
        let first = other.rich.code().next().filter(|(at, _)| *at < 3);
        let first = first.or_else(|| other.rich.strong().next().filter(|(at, _)| *at < 3));
        let name = first.map_or("", |(_, words)| words);
        let name = name.split(['=', ' ', ':', '：']).next().unwrap_or_default();
        name.contains('_') && is_upper_name(name)
    };
    others.filter(begins).count() > 0
}

/// Whether the first words of a section above, not those of the title, say that variables are what follows.
pub fn is_announced(reading: &Reading, block: &Block) -> bool {
    let blocks = &reading.document.blocks;
    let mut above = reading.document.path(block.section).take_while(|section| section.level > 1);
    above.any(|section| {
        let first = blocks.partition_point(|other| other.line <= section.line);
        blocks.get(first).is_some_and(|opening| {
            matches!(opening.kind, Kind::Paragraph)
                && opening.rich.text.len() < 400
                && speaks_of_environment(&opening.rich)
        })
    })
}

/// An item below words on variables that end with a colon: "set it by environment variables:".
pub fn is_led(reading: &Reading, index: usize, block: &Block) -> bool {
    let before = reading.document.blocks[..index].iter().rev().take(20);
    let mut before = before
        .take_while(|before| before.section == block.section)
        .skip_while(|before| matches!(before.kind, Kind::Item));
    matches!(block.kind, Kind::Item)
        && before.next().is_some_and(|lead| {
            let ends = lead.rich.text.trim_end().ends_with([':', '：']);
            ends && lead.rich.text.len() < 400 && speaks_of_environment(&lead.rich)
        })
}
