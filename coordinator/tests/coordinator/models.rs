//! Language models as a person sees them: configuration, `doctor`, `budget`, and that keys show nowhere.

use llm::testing::{Say, Scripted, Wire};
use serde_json::Value;

use crate::program::Program;

#[test]
fn without_a_model_everything_else_works_and_nothing_was_spent() {
    let program = Program::new();
    let budget = program.json(&["budget"]);
    assert_eq!(budget["accounts"], Value::Array(Vec::new()));
    assert_eq!(budget["caps"]["plan"]["money"], Value::Null);
    let shown = program.run(&["budget", "show"]);
    assert_eq!(shown.status, 0);
    assert!(shown.stderr.contains("nothing was asked"), "{}", shown.stderr);
    assert_eq!(check(&program, "models")["state"], "ok");
}

#[test]
fn doctor_tells_which_models_answer_without_spending_anything() {
    let scripted = Scripted::start(Wire::Anthropic, "strong", 20, |_| Say::Silence);
    let program = Program::new();
    configure(
        &program,
        &format!(
            "[[llm.low]]\nprovider = 'ollama'\nurl = 'http://127.0.0.1:1'\nmodel = 'qwen'\n\
             [[llm.high]]\nprovider = 'anthropic'\nurl = '{}'\nmodel = 'strong'\nkey = 'strong-key'\n\
             [llm.caps]\nmonth = {{ money = 2.5 }}\n",
            scripted.url()
        ),
    );
    let high = check(&program, "model high");
    assert_eq!(high["state"], "warn");
    assert!(high["hint"].as_str().expect("a hint").contains("secret set strong-key"), "{high}");
    let low = check(&program, "model low");
    assert!(low["detail"].as_str().expect("a detail").contains("could not connect to 127.0.0.1:1"), "{low}");

    let mut command = program.command(&["secret", "set", "strong-key"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"sk-topsecret\n").expect("written");
    assert!(child.wait().expect("it ends").success());
    let high = check(&program, "model high");
    assert_eq!((high["state"].as_str(), scripted.count()), (Some("ok"), 0), "{high}");
    assert_eq!(program.json(&["budget"])["caps"]["month"]["money"], "2.50");
}

#[test]
fn a_key_in_the_configuration_is_refused_and_not_shown() {
    let program = Program::new();
    configure(
        &program,
        "[[llm.high]]\nprovider = 'openai'\nurl = 'http://x'\nmodel = 'm'\nkey = 'sk-proj-topsecret'\n",
    );
    let ran = program.run(&["budget"]);
    ran.fails(2, "config.toml:5: ");
    assert!(
        ran.stderr.contains("orchestrator secret set") && !ran.stderr.contains("topsecret"),
        "{}",
        ran.stderr
    );
}

fn configure(program: &Program, text: &str) {
    let folder = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("a file");
}

/// One check of `doctor`, which may find other things that are broken on this machine.
fn check(program: &Program, name: &str) -> Value {
    let ran = program.run(&["doctor", "-o", "json"]);
    let checks: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let found = checks.as_array().expect("a list").iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {checks}")).clone()
}
