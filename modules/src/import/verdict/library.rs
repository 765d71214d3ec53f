//! Whether a project is for other programs to use: what the text shows of that, weighed against what it shows of a
//! program that one starts.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::{Block, Kind};
use crate::import::fields::{description, ports};
use crate::import::reading::{Placed, Reading};
use crate::import::routes::{Method, Route};
use crate::import::shell::Command;
use crate::import::words::{self, Topic};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// "is a library", "this crate provides", "Python bindings for": in the sentences that say what the project is.
static SAYS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:librar(?:y|ies)|crates?|sdk|bindings?|middleware|orm|polyfill|shim|macros?|traits?|combinators?|data structures?|algorithms?|decorators?|typings?|function(?:s|ality)?|parser|encoder|decoder|serializ\w+|api client|client for|wrapper (?:for|around|over)|frameworks?|engine for|(?:python|rust|node(?:\.js)?|go|java|php|ruby|npm|js|javascript|core) (?:package|module|plugin|client|api|port|implementation|utilit\w+|module)|plugin for|module for|package for|package (?:that )?provides|implementations? of|helpers?|drivers?|utilit(?:y|ies) (?:for|to)|toolkit for|components? for|types for|type-safe|abstractions?|interface to the|extension for)\b|\bfor (?:php|python|node(?:\.js)?|ruby|java|go(?:lang)?|rust|javascript|typescript)\.?$|函数库|类库|开发库|组件库|框架|ライブラリ|フレームワーク|bibliothek|bibliothèque|librería|biblioteca|библиотека|라이브러리",
    )
});
static SAYS_OUTRIGHT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:this|the) (?:crate|library|package|module|repository (?:contains|provides) (?:the |a )?(?:crate|librar\w+|bindings))\b|\b(?:is|provides|as) an? (?:[\w.-]+ ){0,6}(?:library|crate|sdk|framework|package|module|parser|engine)\b|\b(?:library|crate|bindings|sdk) (?:for|to|that|which|in|of|with|providing)\b|^an? (?:[\w.+-]+ ){0,6}(?:library|crate|sdk|parser)\b|是一?[个款种套][^。，；]{0,40}(?:框架|[^数]据?库|SDK)(?:[。，；]|$)",
    )
});
/// "uses the wick library to light": it has a library, it is none.
static USES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:uses|using|based on|built (?:on|with|using|upon)|powered by|relies on|thanks to)\b[^.]{0,60}\b(?:librar|crate|sdk|framework|package|module)",
    )
});
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:self[- ]?host\w*|servers?|daemon|portal|web[ -]?(?:interface|ui|app\w*|based)|command[- ]line|cli|dashboard|services?|bot|proxy|tui|terminal|applications?|app|utility|generator|viewer|tool|monitor\w*|host your|systems?|platform|registry|database|broker)\b|自托管|服务|命令行|サーバー|コマンドライン|系统|平台",
    )
});
/// "A Debian package": for people to install.
static FOR_SYSTEMS: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:debian|deb|apt|rpm|snap|flatpak|aur|arch|ubuntu|homebrew|system|opkg|ipk) package\b")
});
/// "Building applications with wicks", "for your app": what others make with it.
static OF_OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:building|build|develop(?:ing)?|creat(?:e|ing)|writing|write|for|into|your) (?:[\w.-]+ ){0,3}?(?:applications|apps|services|servers|app)\b",
    )
});
/// How manifests name what they need.
static MANIFEST: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?m)^\s*\[(?:[\w.'()"=-]+\.)?(?:dev-|build-|workspace\.)?dependencies(?:\.[\w-]+)?\]|<dependency>|<groupId>|\b(?:implementation|compile|api|testImplementation|kapt|classpath)\b\s*[("' ]+[\w.-]+:[\w.-]+|^\s*gem ['"]|\{:\w+, "~>|PackageReference Include|^\s*[\w-]+\s*=\s*(?:"\d+(?:\.\d+)*"|\{ ?version ?=)|find_package\(|FetchContent_Declare|"(?:dev)?[dD]ependencies"\s*:|libraryDependencies|\.package\(url:"#,
    )
});
/// Commands that add to a program under work.
static ADDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?m)^[\s$>]*(?:[A-Z][A-Z0-9_]*=\S+ )*(?:go get|composer require|pecl install|gem install|bundle add|cargo add|uv add|poetry add|pdm add|dotnet add package|Install-Package|flutter pub add|dart pub add|mix deps\.get|vcpkg install|conan install|luarocks install|cabal install|opam install|bower install|deno add|jsr add|(?:npm|pnpm|yarn|bun) (?:install|i|add) )(?P<rest>.*)$",
    )
});

/// What speaks for a library, and what for a program.
#[derive(Debug, Default)]
struct Weight {
    library: u32,
    program: u32,
    /// A sentence of the beginning says that it is one.
    is_outright: bool,
}

pub fn is_library(reading: &Reading, description: &str, routes: &[&Route]) -> bool {
    let is_other_route = |route: &&Route| {
        !route.is_library_like
            && !matches!(
                route.method,
                Method::Brew | Method::Package | Method::ImageName | Method::BinaryDownload
            )
    };
    let code = code(reading);
    let mut weight = Weight::default();
    let started = started(reading, routes);
    // What is started right after it was added, before any code has it, was added to be started.
    let is_added_to_run = started.is_some_and(|started| code.imported.is_some_and(|used| started < used));
    weight.library += 3 * code.imports.min(2)
        + if code.has_manifest { 4 } else { 0 }
        + match (code.adds && !is_added_to_run, code.imports) {
            (true, 0) => 3,
            (true, _) => 5,
            (false, _) => 0,
        }
        + if code.is_saved { 3 } else { 0 };
    weigh_words(reading, description, &mut weight);
    weight.library += u32::from(routes.iter().any(|route| route.is_library_like));
    weight.library += links(reading);
    let runs = reading.commands.iter().any(|placed| is_run(reading, placed));
    weight.program += if runs { 4 } else { 0 };
    let is_shown = runs || serves(description) || !ports::find(reading).is_empty();
    // A registry of packages has as many libraries as programs.
    let is_of_registry = |route: &&Route| matches!(route.method, Method::Pip | Method::Npm) && !is_shown;
    let others: Vec<&&Route> = routes.iter().filter(|route| is_other_route(route)).collect();
    weight.program += match others.as_slice() {
        [] => 0,
        others if others.iter().all(|route| is_of_registry(route)) => 2,
        // No library is installed by a script.
        others if others.iter().any(|route| route.method == Method::Script) => 6,
        _ => 4,
    };
    let is_download =
        |route: &&Route| matches!(route.method, Method::BinaryDownload | Method::Brew | Method::Package);
    weight.program += if routes.iter().any(is_download) { 2 } else { 0 };
    weight.program += if ports::find(reading).is_empty() || code.imports > 0 { 0 } else { 2 };
    let used = if is_added_to_run { code.imported } else { code.line };
    match (used, started) {
        (Some(used), Some(started)) if started < used => weight.program += 5,
        (Some(used), Some(started))
            if used < started && (code.imports > 0 || code.is_saved || code.adds && weight.is_outright) =>
        {
            weight.library += 2;
        }
        (_, _) => {}
    }
    // Where the text tells no way to install it, less is enough: it is not deployable either way.
    if routes.is_empty() && weight.program == 0 && weight.library == 2 {
        return true;
    }
    weight.library >= 3 && weight.library > weight.program
}

fn serves(description: &str) -> bool {
    SERVES.is_match(&OF_OTHERS.replace_all(description, ""))
}

/// Where the text first installs or starts it as a program.
fn started(reading: &Reading, routes: &[&Route]) -> Option<u32> {
    let runs = reading.commands.iter().filter(|placed| is_run(reading, placed));
    let routes = routes.iter().filter(|route| !route.is_library_like && route.origin.file == reading.path);
    runs.map(|placed| placed.origin.line).chain(routes.map(|route| route.origin.line)).min()
}

fn weigh_words(reading: &Reading, description: &str, weight: &mut Weight) {
    let blocks = reading.document.blocks.iter().take(30);
    let is_head = |block: &&Block| matches!(block.kind, Kind::Paragraph | Kind::Heading(1) | Kind::Quote);
    let on_one_line = |sentence: &str| FOR_SYSTEMS.replace_all(&sentence.replace('\n', " "), "").into_owned();
    let head: Vec<String> = blocks
        .filter(is_head)
        .flat_map(|block| description::sentences(&block.rich.text).into_iter().take(3))
        .take(8)
        .map(on_one_line)
        .collect();
    let sentences = || std::iter::once(description).chain(head.iter().map(String::as_str));
    if SAYS.is_match(description) {
        weight.library += 2;
    }
    if sentences().any(|sentence| SAYS_OUTRIGHT.is_match(sentence) && !USES.is_match(sentence))
        || reading.document.blocks.iter().take(60).any(calls_itself_one)
    {
        weight.is_outright = true;
        weight.library += 3;
    } else if sentences().any(|sentence| SAYS.is_match(sentence)) {
        weight.library += 1;
    }
    if serves(description) {
        weight.program += 2;
    }
    // What one hosts is no library, be it an implementation of something else.
    if words::any(&description.to_lowercase(), &["self-host", "self host", "selfhost", "自托管"]) {
        weight.program += 3;
    }
    let names = [
        "api",
        "msrv",
        "minimum supported rust",
        "minimum rust",
        "rust version",
        "crate features",
        "no_std",
        "cargo features",
    ];
    let is_of_library = |title: &str| {
        let title = title.to_lowercase();
        names.iter().any(|name| words::has_word(&title, name))
    };
    if reading.document.sections.iter().any(|section| is_of_library(&section.title)) {
        weight.library += 1;
    }
}

/// "This library …" begins a paragraph.
fn calls_itself_one(block: &Block) -> bool {
    let names = ["library ", "crate ", "sdk ", "framework ", "gem "];
    let rest = matches!(block.kind, Kind::Paragraph).then(|| block.rich.lower().strip_prefix("this "));
    rest.flatten().is_some_and(|rest| names.iter().any(|name| rest.starts_with(name)))
}

#[derive(Debug, Default)]
struct Code {
    imports: u32,
    has_manifest: bool,
    adds: bool,
    /// It becomes a dependency of another program.
    is_saved: bool,
    /// Where the first of that is.
    line: Option<u32>,
    /// Where the first code is that uses it.
    imported: Option<u32>,
}

/// What the blocks of code do with the project.
fn code(reading: &Reading) -> Code {
    let mut code = Code::default();
    for block in &reading.document.blocks {
        if !block.is_code() || reading.topic_of(block) == Topic::Elsewhere || block.rich.text.len() > 100_000
        {
            continue;
        }
        let text = &block.rich.text;
        let is_import = imports(reading, text);
        code.imports += u32::from(is_import);
        let is_listed = MANIFEST.is_match(text) && owns_any(reading, text);
        code.has_manifest |= is_listed;
        let mut added = ADDS.captures_iter(text).filter(|found| adds(reading, found)).peekable();
        let is_added = added.peek().is_some();
        code.adds |= is_added;
        code.is_saved |= added.any(|found| found["rest"].contains("--save"));
        if is_import {
            code.imported.get_or_insert(block.line);
        }
        if is_import || is_added || is_listed {
            code.line.get_or_insert(block.line);
        }
    }
    code
}

fn adds(reading: &Reading, found: &regex::Captures<'_>) -> bool {
    let rest = &found["rest"];
    let is_global =
        rest.split_whitespace().any(|word| matches!(word, "-g" | "--global" | "--location=global"));
    let mut packages = rest.split_whitespace().filter(|word| !word.starts_with('-'));
    !is_global && packages.any(|word| owns(reading, word))
}

/// Whether a word, or a piece of a path of words, names the project.
fn owns(reading: &Reading, word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '@');
    let word = word.split_once('@').map_or(word, |(name, rest)| if name.is_empty() { rest } else { name });
    !word.is_empty()
        && (reading.identity.owns(word)
            || word.rsplit('/').take(2).any(|part| part.len() > 1 && reading.identity.owns(part)))
}

fn owns_any(reading: &Reading, text: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric() && !"-_.@".contains(c)).take(400);
    words.filter(|word| word.len() > 1).any(|word| owns(reading, word))
}

static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?m)^[\s>.]*(?:import (?:static )?(?P<a>[\w.@/]+)|from (?P<b>[\w.]+) import |(?:pub )?use (?P<c>\w+)(?:::|;)|extern crate (?P<d>\w+)|#include [<"](?P<e>[^>"]+)|using (?P<f>[\w.]+);|use (?P<g>\w+)\\|import [^'"\n]*(?:from )?['"](?P<h>[^'"]+)['"]|\s*"(?P<i>[\w.-]+/[\w./-]+)"$)|require\(['"](?P<j>[^'"]+)['"]\)|<script[^>]* src="(?P<k>[^"]+)""#,
    )
});

/// Whether code uses the project from a program.
fn imports(reading: &Reading, text: &str) -> bool {
    IMPORT.captures_iter(text).take(200).any(|found| {
        let name = found.iter().skip(1).flatten().next().map_or("", |name| name.as_str());
        !name.starts_with('.')
            && name.split(['.', '/', ':']).take(6).any(|part| part.len() > 1 && reading.identity.owns(part))
    })
}

/// Links to where the documentation of libraries is.
fn links(reading: &Reading) -> u32 {
    let head = reading.document.blocks.iter().take(40);
    let links = head.flat_map(|block| block.rich.links()).map(|(_, url)| url);
    let mut weight = 0;
    for url in links {
        let is_of =
            |host: &str| url.contains(host) && owns_any(reading, url.split("://").nth(1).unwrap_or(url));
        if is_of("docs.rs/") {
            weight = weight.max(2);
        } else if is_of("pkg.go.dev/") || is_of("javadoc.io") {
            weight = weight.max(1);
        }
    }
    weight
}

/// Whether a command is the project itself, started.
fn is_run(reading: &Reading, placed: &Placed<Command>) -> bool {
    let command = &placed.value;
    let program = command.program();
    let is_plain =
        program.len() > 1 && program.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let has_option = command.words.iter().any(|word| word.text.starts_with('-'));
    let is_sentence = command.words.len() > 6 && !has_option;
    let is_code = command.has("=")
        || command.has("{")
        || command.words.iter().any(|word| word.text.contains('(') && !word.is_computed);
    !placed.is_inline
        && is_plain
        && !is_sentence
        && !is_code
        && placed.topic != Topic::Development
        && !BUILDERS.contains(&program)
        && reading.identity.owns(program)
}

/// Programs that build others: a plugin for one is not that one, though its name is in the plugin's.
const BUILDERS: [&str; 12] =
    ["gradle", "mvn", "maven", "cargo", "npm", "yarn", "pnpm", "make", "cmake", "bazel", "webpack", "rollup"];
