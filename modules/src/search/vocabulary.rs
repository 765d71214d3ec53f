//! All words of all modules, sorted, each with the modules that have it and how much it says of them.

use std::collections::HashMap;
use std::ops::Range;

use super::{Field, Searchable, words};

/// That a module has a word.
#[derive(Debug, Clone, Copy)]
pub struct Posting {
    pub document: u32,
    /// Its part of the score where this word is asked for: BM25 over all fields.
    pub weight: f32,
    /// The field that says most, by its place in [`Field::ALL`].
    field: u8,
}

impl Posting {
    pub fn field(self) -> Field {
        Field::ALL[usize::from(self.field)]
    }
}

#[derive(Debug)]
struct Term {
    text: Box<str>,
    postings: Range<u32>,
    shape: Shape,
}

/// What rules out at a glance that two words differ by a typo only.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    letters: u64,
    length: u8,
}

impl Shape {
    pub fn of(text: &str) -> Self {
        let letters = text.chars().fold(0, |letters, c| letters | 1 << (c as u32 % 64));
        Self { letters, length: u8::try_from(text.chars().count()).unwrap_or(u8::MAX) }
    }

    /// Each edit changes the length by one at most, and the set of letters by two.
    fn may_be_within(self, edits: u8, other: Shape) -> bool {
        self.length.abs_diff(other.length) <= edits
            && (self.letters ^ other.letters).count_ones() <= 2 * u32::from(edits)
    }
}

#[derive(Debug)]
pub struct Vocabulary {
    terms: Vec<Term>,
    postings: Vec<Posting>,
    documents: usize,
}

/// How soon a word said again says nothing new.
const SATURATION: f32 = 4.0;
/// How much a word in a long text counts less, by field: names and tags are short anyway.
const LENGTH: [f32; 5] = [0.3, 0.0, 0.3, 0.0, 0.75];

/// How often each field of one module has a term.
type Counts = [u16; 5];

impl Vocabulary {
    pub fn new(modules: &[Searchable<'_>]) -> Self {
        let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
        let mut lengths: Vec<Counts> = Vec::with_capacity(modules.len());
        let mut entries: Vec<(u32, u32, Counts)> = Vec::new();
        let mut counts: HashMap<u32, Counts> = HashMap::new();
        for (document, module) in (0..).zip(modules) {
            counts.clear();
            let mut length = Counts::default();
            for_each_term(module, |field, term| {
                length[field as usize] = length[field as usize].saturating_add(1);
                let number = match numbers.get(term) {
                    Some(number) => *number,
                    None => {
                        let number = u32::try_from(numbers.len()).expect("fewer words than memory");
                        numbers.insert(term.into(), number);
                        number
                    }
                };
                let count = &mut counts.entry(number).or_default()[field as usize];
                *count = count.saturating_add(1);
            });
            lengths.push(length);
            entries.extend(counts.iter().map(|(number, counts)| (*number, document, *counts)));
        }
        Self::weigh(numbers, &lengths, entries)
    }

    fn weigh(
        numbers: HashMap<Box<str>, u32>,
        lengths: &[Counts],
        mut entries: Vec<(u32, u32, Counts)>,
    ) -> Self {
        let average = averages(lengths);
        entries.sort_unstable_by_key(|(number, document, _)| (*number, *document));
        let mut ranges: Vec<Range<u32>> = vec![0..0; numbers.len()];
        let mut postings = Vec::with_capacity(entries.len());
        for group in entries.chunk_by(|a, b| a.0 == b.0) {
            let rarity = rarity(lengths.len(), group.len());
            let start = place(&postings);
            for (_, document, counts) in group {
                postings.push(posting(*document, counts, &lengths[*document as usize], &average, rarity));
            }
            ranges[group[0].0 as usize] = start..place(&postings);
        }
        let term = |(text, number): (Box<str>, u32)| Term {
            shape: Shape::of(&text),
            postings: ranges[number as usize].clone(),
            text,
        };
        let mut terms: Vec<Term> = numbers.into_iter().map(term).collect();
        terms.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        Self { terms, postings, documents: lengths.len() }
    }

    pub fn text(&self, term: usize) -> &str {
        &self.terms[term].text
    }

    pub fn postings(&self, term: usize) -> &[Posting] {
        let Range { start, end } = self.terms[term].postings;
        &self.postings[start as usize..end as usize]
    }

    /// How much a word says that so many modules have.
    pub fn rarity(&self, with_term: usize) -> f32 {
        rarity(self.documents, with_term)
    }

    pub fn exact(&self, text: &str) -> Option<usize> {
        self.terms.binary_search_by(|term| (*term.text).cmp(text)).ok()
    }

    /// The terms that begin with `text`.
    pub fn prefixed(&self, text: &str) -> Range<usize> {
        let start = self.terms.partition_point(|term| *term.text < *text);
        let count = self.terms[start..].partition_point(|term| term.text.starts_with(text));
        start..start + count
    }

    /// The terms that `text` is up to `edits` slips away from, and how many.
    pub fn similar(&self, text: &str, edits: u8) -> Vec<(usize, usize)> {
        let shape = Shape::of(text);
        let near = self.terms.iter().enumerate().filter(|(_, term)| term.shape.may_be_within(edits, shape));
        near.map(|(at, term)| (at, strsim::osa_distance(text, &term.text)))
            .filter(|(_, distance)| *distance <= usize::from(edits))
            .collect()
    }
}

fn place(postings: &[Posting]) -> u32 {
    u32::try_from(postings.len()).expect("fewer words than memory")
}

fn for_each_term(module: &Searchable<'_>, mut tell: impl FnMut(Field, &str)) {
    words::terms(module.name, |term| tell(Field::Name, term));
    if module.name.contains('-') {
        tell(Field::Name, &words::squeezed(module.name));
    }
    words::terms(module.category, |term| tell(Field::Category, term));
    words::terms(module.description, |term| tell(Field::Description, term));
    for (field, texts) in [(Field::Tag, module.tags), (Field::Trigger, module.triggers)] {
        for text in texts {
            words::terms(text, |term| tell(field, term));
        }
    }
}

fn averages(lengths: &[Counts]) -> [f32; 5] {
    let mut average = [0.0; 5];
    for (field, average) in average.iter_mut().enumerate() {
        let sum: f32 = lengths.iter().map(|length| f32::from(length[field])).sum();
        *average = (sum / lengths.len().max(1) as f32).max(1.0);
    }
    average
}

/// A word that few modules have says more.
fn rarity(documents: usize, with_term: usize) -> f32 {
    let (documents, with_term) = (documents as f32, with_term as f32);
    (1.0 + (documents - with_term + 0.5) / (with_term + 0.5)).ln()
}

fn posting(document: u32, counts: &Counts, lengths: &Counts, average: &[f32; 5], rarity: f32) -> Posting {
    let mut frequency = 0.0;
    let mut best = (0.0, 0);
    for (at, field) in (0..).zip(Field::ALL) {
        let index = usize::from(at);
        let relative = f32::from(lengths[index]) / average[index];
        let norm = 1.0 - LENGTH[index] + LENGTH[index] * relative;
        let part = field.weight() * f32::from(counts[index]) / norm.max(0.2);
        frequency += part;
        if part > best.0 {
            best = (part, at);
        }
    }
    Posting { document, weight: rarity * frequency / (SATURATION + frequency), field: best.1 }
}
