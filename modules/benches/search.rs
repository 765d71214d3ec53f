//! Search over 10,000 modules. `cargo bench -p modules --bench search`
//!
//! The modules are made of words as frequent as words are: a few in most of them, most in a few. Each query is asked
//! of one index; building it is timed on its own. Fails where a query takes 5 ms or more.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use modules::search::{Index, Searchable};

const MODULES: usize = 10_000;
const WORDS: usize = 20_000;
/// What a person waits without noticing, many times over.
const BOUND: Duration = Duration::from_millis(5);

const QUERIES: [(&str, &str); 6] = [
    ("a name", "module-7777"),
    ("a frequent word", "server"),
    ("a beginning", "mo"),
    ("typing errors", "servr databse monitroing"),
    ("a sentence", "i need a password manager with photo backup and monitoring for my small server at home"),
    ("Chinese", "我想在家里的服务器上备份照片和密码管理"),
];

fn benches(criterion: &mut Criterion) {
    let modules = modules();
    let index = Index::new(modules.iter().map(Module::searchable));
    let mut group = criterion.benchmark_group("search in 10000 modules");
    for (what, query) in QUERIES {
        check(&index, what, query);
        group.bench_function(what, |bencher| bencher.iter(|| black_box(index.search(query))));
    }
    group.sample_size(10);
    group.bench_function("building the index", |bencher| {
        bencher.iter(|| black_box(Index::new(modules.iter().map(Module::searchable))));
    });
    group.finish();
}

criterion_group!(search, benches);
criterion_main!(search);

/// The median of some rounds: other load on the machine shows in single ones.
fn check(index: &Index, what: &str, query: &str) {
    assert!(!index.search(query).is_empty(), "{what} finds something");
    let mut rounds: Vec<Duration> = (0..21)
        .map(|_| {
            let start = Instant::now();
            black_box(index.search(query));
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    let median = rounds[rounds.len() / 2];
    println!("{what:20} {median:>12.1?}  {} hits", index.search(query).len());
    assert!(median < BOUND, "{what}: {median:?}");
}

struct Module {
    name: String,
    category: &'static str,
    tags: Vec<String>,
    triggers: Vec<String>,
    description: String,
}

impl Module {
    fn searchable(&self) -> Searchable<'_> {
        Searchable {
            name: &self.name,
            category: self.category,
            tags: &self.tags,
            triggers: &self.triggers,
            description: &self.description,
        }
    }
}

const KNOWN: [&str; 12] = [
    "server",
    "database",
    "monitoring",
    "password manager",
    "photo backup",
    "home automation",
    "dns",
    "media",
    "照片备份",
    "密码管理",
    "服务器监控",
    "消息队列",
];
const CATEGORIES: [&str; 6] = ["media", "network", "database", "monitoring", "security", "files"];

fn modules() -> Vec<Module> {
    let mut random = Random(7);
    (0..MODULES)
        .map(|number| Module {
            name: if number % 2 == 0 {
                format!("module-{number}")
            } else {
                format!("{}-{number}", random.word())
            },
            category: CATEGORIES[random.below(CATEGORIES.len())],
            tags: (0..4).map(|_| random.word()).collect(),
            triggers: vec![KNOWN[random.below(KNOWN.len())].to_owned(), random.word()],
            description: (0..18).map(|_| random.word() + " ").collect(),
        })
        .collect()
}

/// The same modules each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    /// Word n is about n times rarer than the first.
    fn word(&mut self) -> String {
        let share = (self.below(1 << 20) as f64 + 1.0) / f64::from(1 << 20);
        let number = (WORDS as f64).powf(share) as usize;
        let syllables =
            ["ka", "mo", "tri", "sel", "ver", "ban", "dor", "lix", "pu", "ne", "gra", "fen", "ost"];
        let mut word = String::new();
        let mut rest = number;
        for _ in 0..3 {
            word += syllables[rest % syllables.len()];
            rest /= syllables.len();
        }
        word + syllables[(number * 7) % syllables.len()]
    }
}
