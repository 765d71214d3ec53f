//! `--set K=V`, `--label k=v` and `--secret K=-|K=@file`.

use std::collections::BTreeMap;

use crate::cli::problem::Failure;
use crate::cli::secret;

/// `K=V` as clap takes it.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

/// Where the value of a secret comes from; never the command line, which every process can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    Stdin,
    File(std::path::PathBuf),
}

/// `K=-` or `K=@file`. Not a parser of clap's, whose message would repeat a value given by mistake.
fn parse_secret(text: &str) -> Result<(String, SecretSource), Failure> {
    let Some((key, source)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(Failure::invalid("--secret is neither KEY=- (stdin) nor KEY=@FILE"));
    };
    match (source, source.strip_prefix('@')) {
        ("-", _) => Ok((key.into(), SecretSource::Stdin)),
        (_, Some(file)) if !file.is_empty() => Ok((key.into(), SecretSource::File(file.into()))),
        _ => Err(Failure::invalid(format!(
            "the value of the secret {key} is on the command line, where others see it"
        ))
        .with_hint(format!("write {key}=- for stdin or {key}=@FILE"))),
    }
}

/// # Errors
/// When a key is given twice: one of the two would be lost without a word.
pub fn unique<T>(option: &str, pairs: Vec<(String, T)>) -> Result<BTreeMap<String, T>, Failure> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.contains_key(&key) {
            return Err(Failure::invalid(format!("{option} {key} is given twice")));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// Reads the values; at most one can come from stdin, where stdin is not a terminal.
pub async fn read_secrets(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pairs = given.iter().map(|text| parse_secret(text)).collect::<Result<Vec<_>, _>>()?;
    let sources = unique("--secret", pairs)?;
    if sources.values().filter(|source| **source == SecretSource::Stdin).count() > 1 {
        return Err(Failure::invalid("only one --secret can be read from stdin")
            .with_hint("put the others into files and write KEY=@file"));
    }
    let mut values = BTreeMap::new();
    for (key, source) in sources {
        let bytes = match source {
            SecretSource::Stdin => secret::read_value(&key).await?,
            SecretSource::File(path) => {
                std::fs::read(&path).map(secret::without_line_end).map_err(|cause| {
                    Failure::io(format!("could not read the secret {key} from {}", path.display()), &cause)
                })?
            }
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::invalid(format!("the value of the secret {key} is not UTF-8")))?;
        values.insert(key, text);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_split_at_the_first_equals_sign() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_pair("a="), Ok(("a".into(), String::new())));
        assert!(parse_pair("a").is_err() && parse_pair("=b").is_err());
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let parse = |text: &str| parse_secret(text).ok();
        assert_eq!(parse("password=-"), Some(("password".into(), SecretSource::Stdin)));
        assert_eq!(parse("password=@p.txt"), Some(("password".into(), SecretSource::File("p.txt".into()))));
        for text in ["password=hunter2", "hunter2", "=hunter2"] {
            let refusal = parse_secret(text).expect_err("a value on the command line");
            assert_eq!(refusal.exit(), 2, "{text}");
            assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
        }
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        let pairs = vec![("a".to_owned(), 1), ("a".to_owned(), 2)];
        assert_eq!(unique("--set", pairs).expect_err("twice").exit(), 2);
    }
}
