//! Guesses what a person meant to write.

/// The candidate closest to `text`, if one is close enough to be meant.
pub fn closest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let text = text.to_lowercase();
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&text, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(text: &str, candidate: &str) -> usize {
    let plain = |text: &str| text.replace(['_', ' '], "-");
    if text.len() > 100 {
        return usize::MAX;
    }
    strsim::osa_distance(&plain(text), &plain(&candidate.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["command", "env", "user", "working_dir"];
        let cases = [
            ("comand", Some("command")),
            ("commnad", Some("command")),
            ("Env", Some("env")),
            ("enb", Some("env")),
            ("working-dir", Some("working_dir")),
            ("image", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(closest(text, known), expected, "{text}");
        }
    }
}
