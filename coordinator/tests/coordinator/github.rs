//! `import` from a server that answers as GitHub does.

use serde_json::json;

use crate::program::Program;
use crate::web::{Request, Response, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const README: &str = "# Teapot

Teapot is a self-hosted server that keeps tea warm.

## Install

```sh
docker run -d -p 8080:80 -v teapot:/var/lib/teapot ghcr.io/kettle/teapot:1.4.2
```

## License

MIT
";

#[test]
fn a_repository_becomes_a_module_with_the_place_of_each_field() {
    let server = github(|_| None);
    let program = Program::new();
    let made = import(&program, &server, &["https://github.com/Kettle/Teapot", "-o", "json"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!(made["module"]["name"], "teapot");
    assert_eq!(made["module"]["runtime"]["container"]["image"], "ghcr.io/kettle/teapot:1.4.2");
    assert_eq!(made["module"]["license"], "MIT");
    assert_eq!(made["commit"], COMMIT);
    assert_eq!(made["deployable"], true);
    let image = made["provenance"].as_array().expect("a list").iter().find(|one| one["field"] == "image");
    let image = image.expect("the image's place");
    assert_eq!((&image["origin"]["file"], &image["origin"]["line"]), (&json!("README.md"), &json!(8)));
    assert_eq!(made["added"], format!("teapot@{}", made["module"]["version"].as_str().expect("a version")));

    let shown = program.json(&["module", "show", "teapot"]);
    assert_eq!(shown["source"], "imported");
    assert_eq!(shown["origin"]["commit"], COMMIT);
    assert_eq!(shown["origin"]["draft"], true);
    let asked = server.asked();
    assert!(asked.iter().all(|request| request.headers.contains_key("user-agent")));
    assert!(asked.len() <= 6, "{} requests for one README", asked.len());
}

#[test]
fn a_dry_run_and_a_folder_leave_the_registry_alone() {
    let server = github(|_| None);
    let program = Program::new();
    let dry = import(&program, &server, &["kettle/teapot", "--dry-run"]);
    assert_eq!(dry.status, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains("image: ghcr.io/kettle/teapot:1.4.2"), "{}", dry.stdout);
    assert!(dry.stdout.contains("README.md:8"), "{}", dry.stdout);
    let to = import(&program, &server, &["kettle/teapot", "--to", "new/teapot"]);
    assert_eq!(to.status, 0, "{}", to.stderr);
    assert_eq!(program.registry(), json!([]));
    let verified = program.run(&["module", "verify", "./new/teapot"]);
    assert_eq!(verified.status, 0, "{}", verified.stderr);
    import(&program, &server, &["kettle/teapot", "--to", "new/teapot"]).fails(1, "is not empty");
}

#[test]
fn what_was_renamed_is_followed() {
    let server = github(|request| {
        let moved = request.path == "/repos/old/teapot";
        moved.then(|| {
            Response::new(301, r#"{"message":"Moved Permanently"}"#).header("location", "/repositories/42")
        })
    });
    let made = import(&Program::new(), &server, &["old/teapot", "--dry-run"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert!(made.stdout.contains("is called kettle/teapot now"), "{}", made.stdout);
}

#[test]
fn the_token_goes_to_the_host_and_nowhere_else() {
    let server = github(|_| None);
    let program = Program::new();
    let mut command = program.command(&["import", "kettle/teapot", "--dry-run"]);
    let output = command
        .env("GITHUB_TOKEN", "ghp_secret")
        .env("ORCHESTRATOR_GITHUB_API", &server.url)
        .env("ORCHESTRATOR_GITHUB_RAW", format!("{}/raw", server.url));
    let ran = program.ran(output.output().expect("starts"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!(ran.stdout + &ran.stderr).contains("ghp_secret"));
    assert!(server.asked().iter().all(|request| request.headers["authorization"] == "Bearer ghp_secret"));
}

#[test]
fn a_stored_secret_is_the_token_where_the_configuration_says_so() {
    let server = github(|_| None);
    let program = Program::new();
    let config = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&config).expect("a new folder");
    std::fs::write(config.join("config.toml"), "[github]\ntoken-secret = 'gh'\n").expect("a new file");
    import(&program, &server, &["kettle/teapot", "--dry-run"]).fails(2, "gh");
    assert_eq!(server.asked().len(), 0, "without the token nothing is asked");
    std::fs::write(program.home().join("token"), "ghp_stored\n").expect("a new file");
    let mut set = program.command(&["secret", "set", "gh"]);
    let stdin = std::fs::File::open(program.home().join("token")).expect("there");
    assert_eq!(program.ran(set.stdin(stdin).output().expect("starts")).status, 0);
    let ran = import(&program, &server, &["kettle/teapot", "--dry-run"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!(ran.stdout + &ran.stderr).contains("ghp_stored"));
    assert!(server.asked().iter().all(|request| request.headers["authorization"] == "Bearer ghp_stored"));
}

#[test]
fn each_refusal_is_told_and_changes_nothing() {
    let later = "99999999999";
    let limited = move |status: u16| {
        Response::new(status, r#"{"message":"API rate limit exceeded for 203.0.113.7."}"#)
            .header("x-ratelimit-limit", 60)
            .header("x-ratelimit-remaining", 0)
            .header("x-ratelimit-reset", later)
    };
    let said = |status: u16, body: &str| Response::new(status, body.to_owned());
    type Answer = Box<dyn Fn() -> Response + Send + Sync>;
    let cases: Vec<(Answer, i32, &str)> = vec![
        (Box::new(move || said(404, r#"{"message":"Not Found"}"#)), 2, "there is nothing at"),
        (Box::new(move || limited(403)), 1, "enough requests"),
        (Box::new(move || limited(429)), 1, "enough requests"),
        (Box::new(move || said(429, "").header("retry-after", 3600)), 1, "60 min"),
        (
            Box::new(move || said(403, r#"{"message":"You have exceeded a secondary rate limit"}"#)),
            1,
            "enough requests",
        ),
        (
            Box::new(move || said(403, r#"{"message":"Repository access blocked"}"#)),
            1,
            "Repository access blocked",
        ),
        (Box::new(move || said(401, r#"{"message":"Bad credentials"}"#)), 1, "does not accept the token"),
        (Box::new(move || said(500, "<html>")), 1, "answered 500"),
        (Box::new(move || said(200, "<html>hello</html>")), 1, "is not what"),
        (Box::new(move || said(302, "").header("location", "/repos/kettle/teapot")), 1, "circles"),
    ];
    for (answer, status, words) in cases {
        let server = github(move |request| request.path.starts_with("/repos").then(&answer));
        let program = Program::new();
        import(&program, &server, &["kettle/teapot"]).fails(status, words);
        assert_eq!(program.registry(), json!([]), "{words}");
    }
}

#[test]
fn a_short_pause_that_the_host_asks_for_is_kept() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = github(move |_| {
        let is_first = is_first.swap(false, std::sync::atomic::Ordering::SeqCst);
        is_first.then(|| Response::new(429, "").header("retry-after", 1))
    });
    let made = import(&Program::new(), &server, &["kettle/teapot", "--dry-run"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
}

#[test]
fn a_readme_that_is_none_is_refused() {
    let huge = b"tea ".repeat(50 << 18);
    let mut binary = README.as_bytes().to_vec();
    binary.extend([0, 1, 2, 0, 255]);
    for (bytes, words) in [(huge, "has more than"), (binary, "is not text")] {
        let server = github(move |request| {
            let is_readme = request.path.ends_with("/README.md");
            is_readme.then(|| Response::new(200, bytes.clone()))
        });
        let program = Program::new();
        import(&program, &server, &["kettle/teapot"]).fails(2, words);
        assert_eq!(program.registry(), json!([]), "{words}");
    }
}

#[test]
fn other_encodings_are_read() {
    let latin: Vec<u8> = README
        .replace("warm", "warm, café")
        .chars()
        .map(|c| u8::try_from(c as u32).expect("Latin-1"))
        .collect();
    let wide: Vec<u8> =
        [0xfeff].into_iter().chain(README.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [latin, wide] {
        let server = github(move |request| {
            request.path.ends_with("/README.md").then(|| Response::new(200, bytes.clone()))
        });
        let made = import(&Program::new(), &server, &["kettle/teapot", "--dry-run"]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        assert!(made.stdout.contains("is not UTF-8; it was read as"), "{}", made.stdout);
        assert!(made.stdout.contains("ghcr.io/kettle/teapot:1.4.2"), "{}", made.stdout);
    }
}

#[test]
fn a_library_is_told_to_be_one() {
    let text = "# teacup\n\nA small library for other programs.\n\n```sh\npip install teacup\n```\n\n```python\nimport teacup\n```\n";
    let server =
        github(move |request| request.path.ends_with("/README.md").then(|| Response::new(200, text)));
    let program = Program::new();
    import(&program, &server, &["kettle/teapot"]).fails(2, "nothing to deploy");
    assert_eq!(program.registry(), json!([]));
}

fn import(program: &Program, server: &Server, arguments: &[&str]) -> crate::program::Ran {
    let raw = format!("{}/raw", server.url);
    program.run(&[&["import"], arguments, &["--github-api", &server.url, "--github-raw", &raw]].concat())
}

/// A server with one repository; `first` may answer before.
fn github(first: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> Server {
    Server::start(move |request| first(request).unwrap_or_else(|| usual(request)))
}

fn usual(request: &Request) -> Response {
    let path = request.path.to_lowercase();
    let as_json = |value: serde_json::Value| {
        Response::new(200, value.to_string())
            .header("content-type", "application/json; charset=utf-8")
            .header("x-ratelimit-limit", 60)
            .header("x-ratelimit-remaining", 57)
    };
    match path.as_str() {
        "/repos/kettle/teapot" | "/repositories/42" => as_json(json!({
            "id": 42, "name": "teapot", "full_name": "kettle/teapot", "private": false, "archived": false,
            "owner": {"login": "kettle", "id": 7}, "default_branch": "main", "size": 108,
            "description": "Keeps tea warm", "homepage": "", "topics": ["tea", "self-hosted"],
            "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT"},
        })),
        "/repos/kettle/teapot/commits/main" => Response::new(200, COMMIT),
        path if path == format!("/repos/kettle/teapot/git/trees/{COMMIT}") => as_json(json!({
            "sha": COMMIT, "truncated": false, "tree": [
                {"path": "README.md", "mode": "100644", "type": "blob", "size": README.len(), "sha": "a".repeat(40)},
                {"path": "src", "mode": "040000", "type": "tree", "sha": "b".repeat(40)},
                {"path": "src/main.c", "mode": "100644", "type": "blob", "size": 12, "sha": "c".repeat(40)},
            ],
        })),
        path if path == format!("/raw/kettle/teapot/{COMMIT}/readme.md") => Response::new(200, README),
        _ => Response::new(
            404,
            r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
        ),
    }
}
