//! Where a redirect leads, as RFC 3986 has it. What comes out is judged like any other URL.

/// The URL of a location, seen from the URL that gave it.
pub fn absolute(from: &str, location: &str) -> String {
    let location = location.trim().split('#').next().unwrap_or_default();
    if has_scheme(location) {
        return location.to_owned();
    }
    let from = from.split('#').next().unwrap_or_default();
    let (scheme, rest) = from.split_once("://").unwrap_or(("http", from));
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    let (authority, old) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (old_path, old_query) = cut_query(old);
    let (path, query) = cut_query(location);
    let (path, query) = match (path, query) {
        ("", "") => (old_path.to_owned(), old_query),
        ("", query) => (old_path.to_owned(), query),
        (path, query) if path.starts_with('/') => (without_dots(path), query),
        (path, query) => {
            let folder = old_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            (without_dots(&format!("{folder}/{path}")), query)
        }
    };
    format!("{scheme}://{authority}{path}{query}")
}

/// A scheme is a letter and what follows it, up to a colon that stands before anything else.
fn has_scheme(location: &str) -> bool {
    let Some((scheme, _)) = location.split_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain)
}

/// Path and query; the query keeps its mark.
fn cut_query(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let names = path.strip_prefix('/').unwrap_or(path);
    for part in names.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    // What ends with dots is a folder.
    if matches!(names.rsplit('/').next(), Some("." | "..")) {
        parts.push("");
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_a_whole_url() {
        let cases = [
            ("http://a/b/c?x", "/d", "http://a/d"),
            ("http://a/b/c?x", "d", "http://a/b/d"),
            ("http://a/b/c?x", "./d", "http://a/b/d"),
            ("http://a/b/c?x", "../d", "http://a/d"),
            ("http://a/b/c?x", "../../../d", "http://a/d"),
            ("http://a/b/c?x", "..", "http://a/"),
            ("http://a/b/c/e", "..", "http://a/b/"),
            ("http://a/b/c?x", "?y", "http://a/b/c?y"),
            ("http://a?x", "?y", "http://a?y"),
            ("http://a/b/c?x#z", "", "http://a/b/c?x"),
            ("http://a/b", "d//e/", "http://a/d//e/"),
            ("https://a:1", "d?y#z", "https://a:1/d?y"),
            ("https://a/b", "//evil/x", "https://evil/x"),
            ("https://a/b", "http://169.254.169.254/", "http://169.254.169.254/"),
            ("https://a/b", "HTTP://c/", "HTTP://c/"),
            ("https://a/b", "file:///etc/shadow", "file:///etc/shadow"),
            ("https://a/b", "javascript:x", "javascript:x"),
            ("https://a/b", "/login?next=https://example.org/", "https://a/login?next=https://example.org/"),
            ("https://a/b", "login?next=https://example.org/", "https://a/login?next=https://example.org/"),
            ("https://a/b", "?next=https://example.org/", "https://a/b?next=https://example.org/"),
            ("https://a/b", "/x/http://example.org/../y", "https://a/x/http://y"),
            ("https://a/b", " /d ", "https://a/d"),
        ];
        for (from, location, expected) in cases {
            assert_eq!(absolute(from, location), expected, "{from} {location}");
        }
    }
}
