//! Commands that stand in the settings of the program that is to start them, as of servers of the Model Context
//! Protocol: `{"command": "npx", "args": ["-y", "lantern"], "env": {"LAMP_TOKEN": "…"}}`.

use serde_json::Value;

use super::shell::Command;

/// Settings are short; what is longer is something else.
const MAX_BYTES: usize = 20_000;
const KEY: &str = "\"command\"";

/// The commands of a block; `first` is the line it begins at. None where the block is no JSON, be it in parts.
pub fn commands(block: &str, first: u32) -> Vec<Command> {
    if block.len() > MAX_BYTES || !block.contains(KEY) {
        return Vec::new();
    }
    let bare: Vec<&str> = block.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let bare = bare.join("\n");
    let whole = serde_json::from_str::<Value>(&bare);
    // `"mcpServers": {…}` without the braces around it.
    let parsed =
        whole.or_else(|_| serde_json::from_str(&format!("{{{}}}", bare.trim().trim_end_matches(','))));
    let mut found = Vec::new();
    if let Ok(settings) = parsed {
        collect(&settings, &mut found);
    }
    for command in &mut found {
        command.line = first + line(block, command);
    }
    found.sort_by_key(|command| command.line);
    found
}

/// How many lines of the block come before the one where the command is; those of others may stand before and behind.
fn line(block: &str, command: &Command) -> u32 {
    let longest = command.words.iter().map(|word| word.text.as_str()).max_by_key(|text| text.len());
    let is_it = |line: &str| longest.is_some_and(|longest| line.contains(longest));
    let at = block.lines().position(is_it).or_else(|| block.lines().position(|line| line.contains(KEY)));
    at.and_then(|at| u32::try_from(at).ok()).unwrap_or(0)
}

fn collect(settings: &Value, found: &mut Vec<Command>) {
    match settings {
        Value::Object(map) => {
            found.extend(map.get("command").and_then(|program| command(program, settings)));
            map.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn command(program: &Value, settings: &Value) -> Option<Command> {
    let arguments = settings.get("args")?.as_array()?.iter().filter_map(Value::as_str);
    let texts = program.as_str()?.split_whitespace().chain(arguments);
    let env = settings.get("env").and_then(Value::as_object).into_iter().flatten();
    let assignments = env.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Command::of_words(texts, assignments)
}
