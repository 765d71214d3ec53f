//! How long the importer reads a README. `cargo bench -p modules --features import --bench import`
//!
//! The text of 1 MB repeats what real ones have: prose in two scripts, badges, tables of variables, listings of
//! commands, compose files, raw HTML. The bound of 50 ms is for one whole import: text in, checked draft out.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use modules::import::{Files, Source, import};

const BOUND: Duration = Duration::from_millis(50);
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

fn once(files: &Files, source: &Source) -> Duration {
    let start = Instant::now();
    let import = import(files, source).expect("the text is readable");
    assert!(import.is_deployable(), "the text says how to run it");
    black_box(import);
    start.elapsed()
}

fn bench(criterion: &mut Criterion) {
    let mut files = Files::default();
    files.insert("README.md", text());
    let source = Source::of_url("https://example.org/example/lanternd");
    let mut group = criterion.benchmark_group("import");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    group.bench_function("README of 1 MB", |bencher| bencher.iter(|| once(&files, &source)));
    group.finish();
    let best = (0..10).map(|_| once(&files, &source)).min().unwrap_or_default();
    println!("best of ten: {best:?}, bound {BOUND:?}");
    assert!(best < BOUND, "a README of 1 MB took {best:?}");
}

criterion_group!(benches, bench);
criterion_main!(benches);
