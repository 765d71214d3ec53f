//! What a sentence says of a machine: its model, architecture, memory, disk, cores, and what it has.

use super::Machine;
use crate::arch::Arch;
use crate::units::ByteSize;

/// Takes what is said of the machine out of the sentence. The longest names come first.
const MODELS: &[(&str, &str, Arch)] = &[
    ("raspberry pi zero 2 w", "Raspberry Pi Zero 2 W", Arch::Aarch64),
    ("raspberry pi zero 2", "Raspberry Pi Zero 2 W", Arch::Aarch64),
    ("pi zero 2 w", "Raspberry Pi Zero 2 W", Arch::Aarch64),
    ("pi zero 2", "Raspberry Pi Zero 2 W", Arch::Aarch64),
    ("raspberry pi zero", "Raspberry Pi Zero", Arch::Armv6),
    ("pi zero", "Raspberry Pi Zero", Arch::Armv6),
    ("raspberry pi", "Raspberry Pi", Arch::Aarch64),
    ("raspi", "Raspberry Pi", Arch::Aarch64),
    ("rpi", "Raspberry Pi", Arch::Aarch64),
    ("树莓派", "Raspberry Pi", Arch::Aarch64),
    ("ラズパイ", "Raspberry Pi", Arch::Aarch64),
    ("a pi", "Raspberry Pi", Arch::Aarch64),
    ("my pi", "Raspberry Pi", Arch::Aarch64),
    ("the pi", "Raspberry Pi", Arch::Aarch64),
    ("one pi", "Raspberry Pi", Arch::Aarch64),
    ("pi", "Raspberry Pi", Arch::Aarch64),
];

const ARCHES: &[(&str, Arch)] = &[
    ("x86_64", Arch::X86_64),
    ("x86-64", Arch::X86_64),
    ("amd64", Arch::X86_64),
    ("x86", Arch::X86_64),
    ("intel nuc", Arch::X86_64),
    ("aarch64", Arch::Aarch64),
    ("arm64", Arch::Aarch64),
    ("armv7", Arch::Armv7),
    ("armhf", Arch::Armv7),
    ("armv6", Arch::Armv6),
    ("riscv64", Arch::Riscv64),
];

const CAPABILITIES: &[(&str, &str)] = &[
    ("gpu", "gpu"),
    ("cuda", "gpu"),
    ("nvidia", "gpu"),
    ("显卡", "gpu"),
    ("camera module", "camera"),
    ("gpio", "gpio"),
];

pub fn take(rest: &mut String, machine: &mut Machine) {
    take_model(rest, machine);
    take_arch(rest, machine);
    take_sizes(rest, machine);
    for (word, capability) in CAPABILITIES {
        let lacks = [format!(" without {word} "), format!(" no {word} "), format!(" without a {word} ")];
        if lacks.iter().any(|lacks| remove(rest, lacks)) {
            continue;
        }
        let has = [
            format!(" with a {word} "),
            format!(" with an {word} "),
            format!(" with {word} "),
            format!(" on a {word} "),
        ];
        let said = has.iter().any(|has| remove(rest, has)) || !word.is_ascii() && remove(rest, word);
        if said && !machine.capabilities.iter().any(|known| known == capability) {
            machine.capabilities.push((*capability).to_owned());
        }
    }
}

/// `Pi 4`, `Raspberry Pi 4B`, `树莓派4`; but not the `pi` of `pi hole`.
fn take_model(rest: &mut String, machine: &mut Machine) {
    let lower = rest.to_ascii_lowercase();
    for (written, name, arch) in MODELS {
        let is_bare = *written == "pi";
        let Some(at) = find_word(&lower, written) else { continue };
        let after = &rest[at + written.len()..];
        let gap = after.len() - after.trim_start_matches([' ', '-']).len();
        let digits: String = after[gap..].chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let number = digits.chars().next().and_then(|c| c.to_digit(10)).filter(|_| digits.len() < 3);
        // A size of memory is no number of a model: `a Pi with 4 GB`, `Pi 4GB`.
        if number.is_none() && (is_bare || after.trim_start().starts_with("hole") || after.starts_with('-')) {
            continue;
        }
        let (arch, end) = match number {
            Some(1) => (Arch::Armv6, gap + digits.len()),
            Some(2) => (Arch::Armv7, gap + digits.len()),
            Some(_) => (*arch, gap + digits.len()),
            None => (*arch, 0),
        };
        machine.arch = Some(arch);
        machine.model = Some(number.map_or_else(|| (*name).to_owned(), |number| format!("{name} {number}")));
        blank(rest, at, at + written.len() + end);
        return;
    }
}

fn take_arch(rest: &mut String, machine: &mut Machine) {
    for (word, arch) in ARCHES {
        if remove_word(rest, word) {
            machine.arch = Some(*arch);
        }
    }
}

/// `2 GB`, `512MB RAM`, `16 GB disk`, `4 cores`.
fn take_sizes(rest: &mut String, machine: &mut Machine) {
    let mut from = 0;
    while let Some((start, end, amount)) = next_number(rest, from) {
        from = end;
        let after = rest[end..].trim_start();
        let unit_at = rest.len() - after.len();
        let unit: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
        let unit_end = unit_at + unit.len();
        if matches!(unit.to_ascii_lowercase().as_str(), "core" | "cores" | "cpu" | "cpus") {
            machine.cores = Some(amount);
            blank(rest, start, unit_end);
            continue;
        }
        let Some(bytes) = in_bytes(amount, &unit) else { continue };
        let what = rest[unit_end..].trim_start().to_ascii_lowercase();
        let what = what.strip_prefix("of ").unwrap_or(&what);
        let is_disk =
            ["disk", "storage", "ssd", "sd card", "sd-card", "hdd", "free space", "space", "硬盘", "存储"];
        let is_memory = ["ram", "memory", "mem", "内存", "メモリ"];
        let size = Some(ByteSize(bytes));
        let named =
            |words: &[&str]| words.iter().find(|word| what.starts_with(**word)).map(|word| word.len());
        let (disk, memory) = (named(&is_disk), named(&is_memory));
        if disk.is_some() {
            machine.disk = size
        } else {
            machine.memory = size
        }
        let spaces = rest[unit_end..].len() - rest[unit_end..].trim_start().len();
        let of = if rest[unit_end..].trim_start().to_ascii_lowercase().starts_with("of ") { 3 } else { 0 };
        let name = disk.or(memory).map_or(0, |length| spaces + of + length);
        blank(rest, start, unit_end + name);
    }
}

/// The next number that stands by itself.
fn next_number(text: &str, from: usize) -> Option<(usize, usize, f64)> {
    let mut start = from;
    loop {
        start += text.get(start..)?.find(|c: char| c.is_ascii_digit())?;
        let end =
            text[start..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len(), |at| start + at);
        let before = text[..start].chars().next_back();
        let stands_alone = before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        match text[start..end].trim_end_matches('.').parse() {
            Ok(amount) if stands_alone => return Some((start, end, amount)),
            _ => start = end,
        }
    }
}

fn in_bytes(amount: f64, unit: &str) -> Option<u64> {
    let factor = match unit.to_ascii_lowercase().as_str() {
        "gb" | "gib" | "g" | "gig" | "gigs" => 1_u64 << 30,
        "mb" | "mib" | "m" => 1 << 20,
        "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    let bytes = amount * factor as f64;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

/// Where a word stands by itself. Words of scripts without spaces always do.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
        let digit_may_follow = after.is_some_and(|c| c.is_ascii_digit());
        !word.is_ascii() || !is_part(before) && (!is_part(after) || digit_may_follow)
    })
}

pub fn remove_word(text: &mut String, word: &str) -> bool {
    let found = find_word(&text.to_ascii_lowercase(), &word.to_ascii_lowercase());
    found.is_some_and(|at| {
        blank(text, at, at + word.len());
        true
    })
}

/// Takes a phrase out, whatever its case.
pub fn remove(text: &mut String, phrase: &str) -> bool {
    let found = text.to_ascii_lowercase().find(&phrase.to_ascii_lowercase());
    found.is_some_and(|at| {
        blank(text, at, at + phrase.len());
        true
    })
}

/// Spaces, so that places in the text stay what they are.
fn blank(text: &mut String, start: usize, end: usize) {
    let end = end.min(text.len());
    text.replace_range(start..end, &" ".repeat(end - start));
}
