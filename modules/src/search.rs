//! Finds modules by words: ranked by BM25 over weighted fields, with prefixes and typos, in any script.
//!
//! The index is built once and asked often; asking it looks at the words of the query only.

mod lookup;
#[cfg(test)]
mod tests;
mod vocabulary;
pub mod words;

use crate::spec::ModuleSpec;
use lookup::Lookup;
use vocabulary::Vocabulary;

/// What can be found of one module.
#[derive(Debug, Clone, Copy)]
pub struct Searchable<'s> {
    pub name: &'s str,
    pub category: &'s str,
    pub tags: &'s [String],
    pub triggers: &'s [String],
    pub description: &'s str,
}

impl<'s> From<&'s ModuleSpec> for Searchable<'s> {
    fn from(spec: &'s ModuleSpec) -> Self {
        Self {
            name: spec.name.as_str(),
            category: spec.category.as_deref().unwrap_or_default(),
            tags: &spec.tags,
            triggers: &spec.triggers,
            description: &spec.description,
        }
    }
}

/// Where a word was found; the earlier, the more it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Name,
    Trigger,
    Tag,
    Category,
    Description,
}

impl Field {
    pub const ALL: [Field; 5] =
        [Field::Name, Field::Trigger, Field::Tag, Field::Category, Field::Description];

    pub fn as_str(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::Trigger => "trigger",
            Field::Tag => "tag",
            Field::Category => "category",
            Field::Description => "description",
        }
    }

    fn weight(self) -> f32 {
        match self {
            Field::Name => 6.0,
            Field::Trigger => 3.5,
            Field::Tag => 3.0,
            Field::Category => 2.0,
            Field::Description => 1.0,
        }
    }
}

/// A module that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its place among what the index was built of.
    pub document: usize,
    pub score: f32,
    /// How much of what the query says this module has, from 0 to 1: rare words say more than frequent ones.
    pub coverage: f32,
    /// The words of the query that it has.
    pub matches: Vec<Match>,
}

/// A word of the query, and where it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// As it was asked for.
    pub word: String,
    /// In its plain form, as it was found.
    pub found: String,
    /// The field that says most.
    pub field: Field,
    pub kind: Kind,
}

/// How well a word fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Exact,
    /// The query has the beginning of it.
    Prefix,
    /// The query has nearly it.
    Typo,
}

/// Words of many modules, ready to be searched.
#[derive(Debug)]
pub struct Index {
    /// For exact names, and for the order of what scores the same.
    names: Vec<String>,
    vocabulary: Vocabulary,
}

/// What fits much worse than the best is not worth showing.
const CUT: f32 = 0.12;
/// Asking for a module by its very name puts it first.
const IS_NAME: f32 = 100.0;

impl Index {
    pub fn new<'s>(modules: impl IntoIterator<Item = Searchable<'s>>) -> Self {
        let modules: Vec<Searchable<'s>> = modules.into_iter().collect();
        let names = modules.iter().map(|module| module.name.to_owned()).collect();
        Self { names, vocabulary: Vocabulary::new(&modules) }
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The modules that have to do with the words of `query`, the best first; all by name where it has no words.
    pub fn search(&self, query: &str) -> Vec<Hit> {
        let asked = words::of_query(query);
        if asked.is_empty() {
            return self.all();
        }
        let lookups = lookup::find(&self.vocabulary, &asked);
        let mut scores = vec![0.0; self.names.len()];
        let mut best_of_word = vec![0.0; self.names.len()];
        let mut touched: Vec<u32> = Vec::new();
        for lookup in &lookups {
            self.add(lookup, &mut best_of_word, &mut touched);
            for document in touched.drain(..) {
                let document = document as usize;
                scores[document] += std::mem::take(&mut best_of_word[document]);
            }
        }
        self.reward_names(query, &asked, &mut scores);
        self.ranked(&scores, &lookups)
    }

    fn all(&self) -> Vec<Hit> {
        let mut all: Vec<usize> = (0..self.names.len()).collect();
        all.sort_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        all.into_iter()
            .map(|document| Hit { document, score: 0.0, coverage: 1.0, matches: Vec::new() })
            .collect()
    }

    /// Of all forms that one word of the query may stand for, a document counts the best.
    fn add(&self, lookup: &Lookup, best: &mut [f32], touched: &mut Vec<u32>) {
        for candidate in &lookup.candidates {
            for posting in self.vocabulary.postings(candidate.term) {
                let place = &mut best[posting.document as usize];
                if *place == 0.0 {
                    touched.push(posting.document);
                }
                *place = place.max(candidate.worth * posting.weight);
            }
        }
    }

    fn reward_names(&self, query: &str, asked: &[words::Word], scores: &mut [f32]) {
        let plain = words::squeezed(query);
        for (document, score) in scores.iter_mut().enumerate().filter(|(_, score)| **score > 0.0) {
            if words::squeezed(&self.names[document]) == plain {
                *score += IS_NAME;
            } else if asked.len() > 1 && asked.iter().any(|word| word.text == self.names[document]) {
                *score *= 1.2;
            }
        }
    }

    fn ranked(&self, scores: &[f32], lookups: &[Lookup]) -> Vec<Hit> {
        let best = scores.iter().copied().fold(0.0, f32::max);
        // A name that was asked for exactly stands above the others, but does not hide them.
        let least = if best > IS_NAME { (best - IS_NAME) * CUT } else { best * CUT };
        let mut found: Vec<usize> =
            (0..scores.len()).filter(|at| scores[*at] > 0.0 && scores[*at] >= least).collect();
        found.sort_by(|a, b| {
            scores[*b].total_cmp(&scores[*a]).then_with(|| self.names[*a].cmp(&self.names[*b]))
        });
        let matched = lookup::matches(&self.vocabulary, lookups, &found);
        let hits = found.into_iter().zip(matched);
        hits.map(|(document, (coverage, matches))| Hit {
            document,
            score: scores[document],
            coverage,
            matches,
        })
        .collect()
    }
}

/// Finds the modules that have to do with the words of `query`, the best first.
pub fn search<'s>(modules: impl IntoIterator<Item = &'s ModuleSpec>, query: &str) -> Vec<&'s ModuleSpec> {
    let modules: Vec<&ModuleSpec> = modules.into_iter().collect();
    let index = Index::new(modules.iter().map(|spec| Searchable::from(*spec)));
    index.search(query).into_iter().map(|hit| modules[hit.document]).collect()
}
