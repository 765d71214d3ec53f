//! How long the importer reads a README. `cargo bench -p modules --features import --bench import`
//!
//! The text of 1 MB repeats what real ones have: prose in two scripts, badges, tables of variables, listings of
//! commands, compose files, raw HTML. The bound of 50 ms is for one whole import: text in, checked draft out.
//! Texts made to be slow have a bound of their own. Time is that of the clock, as a long text is read on two
//! processors; the best of ten, so that a busy machine tells nearly the same. Above a bound the command fails.
//! The first import of a process also builds the patterns; its time stands on a line of its own, without a bound.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use modules::import::{Files, Source, import};

const BOUND: Duration = Duration::from_millis(50);
const HOSTILE_BOUND: Duration = Duration::from_millis(1000);
const SIZE: usize = 1024 * 1024;

const HEAD: &str = "# Lanternd\n\nLanternd is a self-hosted server for lanterns.\n\n```sh\ndocker run -d -p 8080:80 -v data:/data \\\n  -e LANTERN_KEY=<key> example/lanternd:1.2\n```\n\n";

const PART: &str = "## Chapter\n\n[![Badge](https://img.shields.io/badge/license-MIT-blue)](LICENSE) Some words about `code`, \
**strong words** and [links](https://example.org/page). The server listens on port 8080 and supports amd64 and arm64. \
It needs at least 512 MB of RAM. Set the environment variable `LANTERN_LEVEL` (default: `3`) before you start it.\n\n\
灯笼服务支持多种架构。默认端口为 8080，环境变量见下表。\n\n\
| Variable | Default | Description |\n|---|---|---|\n| `LANTERN_A` | `1` | The first |\n| `LANTERN_B` | | The second, required |\n\n\
- `LANTERN_C`: the third (default: `x`)\n- an item with words\n- another [item](https://example.org)\n\n\
```yaml\nservices:\n  lantern:\n    image: example/lanternd\n    ports:\n      - 8080:80\n    environment:\n      - LANTERN_D=4\n```\n\n\
```console\n$ sudo apt install lantern-tools && lanternctl status | grep up # a comment\n$ curl -s http://localhost:8080/health\n```\n\n\
<table><tr><th>Name</th><th>Value</th></tr><tr><td><code>x</code></td><td>1 &amp; 2</td></tr></table>\n\n> A quote with *words*.\n\n";

fn text() -> String {
    let mut text = HEAD.to_owned();
    while text.len() < SIZE {
        text.push_str(PART);
    }
    text
}

/// Texts that readers are slow with: nesting, open ends, long lines, many of one thing.
const HOSTILE: [(&str, &str); 20] = [
    ("quotes in quotes", "> "),
    ("lists in lists", "- "),
    ("open links", "["),
    ("open tags", "<a \""),
    ("open comments", "<!--"),
    ("backticks", "`"),
    ("emphasis", "*a_"),
    ("tables", "<table><tr><td>"),
    ("one line of words", "word port 80 default "),
    ("runs", "\n```\ndocker run -p 80:80 x/lanternd\n```\n"),
    ("compose files", "\n```yaml\nimage: x/lanternd\nports: [80:80]\n```\n"),
    ("variables", "- `LAMP_A`: the environment variable\n"),
    ("tables of one name", "| VARIABLE |\n|-|\n| A_B |\n\n"),
    ("demands", "- make sure to set `A_B1`: the environment variable\n"),
    ("headings", "# Install\n"),
    ("links", "see this [website](https://lamps.dev/x) "),
    ("builds", "\n# Use\n```\ndocker run x/lanternd\n```\n# Build\n```\ndocker build -t y/lanternd .\n```\n"),
    ("bold lines", "**A server of lamps for you**\n\n# Lamps of many\n\n"),
    ("assignments", "LAMP_A=${LAMP_B:-1}\n"),
    ("prompts", "\n```\n$ 'a\n```\n"),
];

fn readme(text: String) -> Files {
    let mut files = Files::default();
    files.insert("README.md", text);
    files
}

fn once(files: &Files, source: &Source) -> Duration {
    let start = Instant::now();
    black_box(import(files, source).expect("the text is readable"));
    start.elapsed()
}

/// The best of some tries beside its bound.
fn within(name: &str, bound: Duration, tries: u32, files: &Files, source: &Source) -> bool {
    let best = (0..tries).map(|_| once(files, source)).min().unwrap_or_default();
    let verdict = if best < bound { "ok" } else { "TOO SLOW" };
    println!("{name}: {best:?}, bound {bound:?}: {verdict}");
    best < bound
}

fn bench(criterion: &mut Criterion) {
    let files = readme(text());
    let source = Source::of_url("https://example.org/example/lanternd");
    println!("README of 1 MB, the first of the process: {:?}", once(&files, &source));
    let read = import(&files, &source).expect("the text is readable");
    assert!(read.is_deployable(), "the text says how to run it");
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    group.bench_function("README of 1 MB", |bencher| bencher.iter(|| once(&files, &source)));
    group.finish();
    let mut is_within = within("README of 1 MB, best of ten", BOUND, 10, &files, &source);
    for (name, part) in HOSTILE {
        let files = readme(part.repeat(SIZE / part.len()));
        is_within &= within(&format!("1 MB of {name}"), HOSTILE_BOUND, 1, &files, &source);
    }
    assert!(is_within, "a text took longer than its bound");
}

criterion_group!(benches, bench);
criterion_main!(benches);
