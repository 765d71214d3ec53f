//! The `${…}` references in commands, health checks and the files under `templates/`.
//!
//! `${name}` is replaced by what the caller knows under that name; `$${` stands for a literal `${`.
//! Values are not looked into again.

/// Why a text cannot be rendered; `at` is the byte where the reference begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("unknown reference ${{{name}}}")]
    Unknown { name: String, at: usize },
    #[error("\"${{\" without the closing '}}' (write \"$${{\" for a literal \"${{\")")]
    Unclosed { at: usize },
    #[error("{text:?} is not a reference (write \"$${{\" for a literal \"${{\")")]
    NotAReference { text: String, at: usize },
}

impl TemplateError {
    /// The byte of the text where the trouble begins.
    pub fn at(&self) -> usize {
        match self {
            TemplateError::Unknown { at, .. }
            | TemplateError::Unclosed { at }
            | TemplateError::NotAReference { at, .. } => *at,
        }
    }
}

/// Replaces every `${name}` in `text` by what `lookup` knows.
///
/// # Errors
/// When a reference is unknown or malformed; the error names it.
pub fn render(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut rendered = String::with_capacity(text.len());
    for part in parts(text) {
        match part? {
            Part::Text(text) => rendered.push_str(text),
            Part::Reference { name, at } => {
                let unknown = || TemplateError::Unknown { name: name.to_owned(), at };
                rendered.push_str(&lookup(name).ok_or_else(unknown)?);
            }
        }
    }
    Ok(rendered)
}

/// The names that `text` refers to, in order, each with the byte where its `${` begins.
///
/// # Errors
/// When a reference is malformed.
pub fn references(text: &str) -> Result<Vec<(usize, &str)>, TemplateError> {
    let mut found = Vec::new();
    for part in parts(text) {
        if let Part::Reference { name, at } = part? {
            found.push((at, name));
        }
    }
    Ok(found)
}

enum Part<'t> {
    Text(&'t str),
    Reference { name: &'t str, at: usize },
}

fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, TemplateError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        if rest.is_empty() {
            return None;
        }
        let part = next_part(rest, at);
        at = match &part {
            Ok((_, length)) => at + length,
            Err(_) => text.len(),
        };
        Some(part.map(|(part, _)| part))
    })
}

/// The first part of `rest`, which is not empty, and how many bytes of it that part takes.
fn next_part(rest: &str, at: usize) -> Result<(Part<'_>, usize), TemplateError> {
    if rest.starts_with("$${") {
        return Ok((Part::Text("${"), 3));
    }
    let Some(inside) = rest.strip_prefix("${") else {
        let length = rest.match_indices('$').map(|(at, _)| at).find(|at| begins_something(&rest[*at..]));
        let length = length.unwrap_or(rest.len());
        return Ok((Part::Text(&rest[..length]), length));
    };
    let close = inside.find('}').ok_or(TemplateError::Unclosed { at })?;
    let name = &inside[..close];
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        let text = rest.chars().take_while(|c| *c != '\n').take(60).collect();
        return Err(TemplateError::NotAReference { text, at });
    }
    Ok((Part::Reference { name, at }, close + 3))
}

fn begins_something(rest: &str) -> bool {
    rest.starts_with("${") || rest.starts_with("$${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_replaced_and_nothing_else() {
        let cases = [
            ("", Ok("")),
            ("plain $HOME $$ $5 }{", Ok("plain $HOME $$ $5 }{")),
            ("a${x}b${x}", Ok("a1b1")),
            ("$${x} ${x}", Ok("${x} 1")),
            ("$$${x}", Ok("$${x}")),
            ("ä$${ö", Ok("ä${ö")),
            ("${loop}", Ok("${loop}")),
            ("a ${y}", Err(TemplateError::Unknown { name: "y".into(), at: 2 })),
            ("ab${x", Err(TemplateError::Unclosed { at: 2 })),
            ("${}", Err(TemplateError::NotAReference { text: "${}".into(), at: 0 })),
            ("${HOME:-x}\nmore", Err(TemplateError::NotAReference { text: "${HOME:-x}".into(), at: 0 })),
        ];
        for (text, expected) in cases {
            check(text, expected);
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_renders_to_itself(text in "[ax$\\{\\}]{0,20}|\\PC{0,20}") {
            let escaped = text.replace("${", "$${");
            prop_assert_eq!(render(&escaped, &|_| None), Ok(text));
        }

        #[test]
        fn references_lists_what_render_looks_up(text in "([ax$\\{\\}]|\\$\\{[a-c]\\}){0,20}") {
            let asked = std::cell::RefCell::new(Vec::new());
            let rendered = render(&text, &|name| {
                asked.borrow_mut().push(name.to_owned());
                Some(String::new())
            });
            let listed = references(&text).map(|all| all.into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>());
            prop_assert_eq!(rendered.map(|_| asked.into_inner()), listed);
        }
    }

    fn check(text: &str, expected: Result<&str, TemplateError>) {
        let lookup = |name: &str| match name {
            "x" => Some("1".to_owned()),
            "loop" => Some("${loop}".to_owned()),
            _ => None,
        };
        assert_eq!(render(text, &lookup), expected.map(str::to_owned), "{text}");
    }
}
