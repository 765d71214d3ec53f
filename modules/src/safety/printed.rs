//! Commands that put out the words they are given.

use super::flow::Value;

/// What `echo` and `printf` put out.
pub fn printed(name: &str, arguments: &[Value]) -> Value {
    let mut output = Value::default();
    let mut words = arguments.iter();
    let mut escapes = name == "printf";
    if name == "printf" {
        let Some(format) = words.next() else { return output };
        let mut rest = words.clone();
        let mut pieces = format.text.split("%s");
        output.push(&Value { text: pieces.next().unwrap_or_default().to_owned(), ..format.clone() });
        for piece in pieces {
            if let Some(word) = rest.next() {
                output.push(word);
            }
            output.text.push_str(piece);
        }
        for word in rest {
            output.push(word);
        }
    } else {
        let mut is_first = true;
        for word in words {
            if is_first && matches!(word.text.as_str(), "-e" | "-n" | "-en" | "-ne" | "-E") {
                escapes |= word.text.contains('e');
                continue;
            }
            if !std::mem::take(&mut is_first) {
                output.text.push(' ');
            }
            output.push(word);
        }
        output.text.push('\n');
    }
    if escapes && output.text.contains('\\') {
        let unescaped = unescape(&output.text);
        // Letters written as numbers are there so that nobody reads them.
        output.taint.decoded |= unescaped.1;
        output.text = unescaped.0;
        output.line = None;
    }
    output
}

/// The text with `\n` and the like replaced, and whether letters were written as numbers.
fn unescape(text: &str) -> (String, bool) {
    let (mut plain, mut hidden) = (String::with_capacity(text.len()), 0);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let (radix, most) = match characters.next() {
            Some('n') => {
                plain.push('\n');
                continue;
            }
            Some('t') => {
                plain.push('\t');
                continue;
            }
            Some('x') => (16, 2),
            Some('0') => (8, 3),
            Some(digit @ '1'..='7') => {
                let mut code = digit.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(next) = characters.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + next;
                    characters.next();
                }
                hidden += 1;
                plain.extend(char::from_u32(code));
                continue;
            }
            Some(other) => {
                plain.push(other);
                continue;
            }
            None => break,
        };
        let mut code = 0;
        for _ in 0..most {
            let Some(digit) = characters.peek().and_then(|c| c.to_digit(radix)) else { break };
            code = code * radix + digit;
            characters.next();
        }
        hidden += usize::from(char::from_u32(code).is_some_and(|c| c.is_ascii_alphanumeric()));
        plain.extend(char::from_u32(code));
    }
    (plain, hidden > 3)
}
