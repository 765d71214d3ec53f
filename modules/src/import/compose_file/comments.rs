//! What the comments of a compose file tell: settings that are commented out, and words above a setting.

use super::Lines;
use crate::import::container::{Container, EnvEntry, MountMap, PortMap, is_variable, mount, ports};

impl Lines<'_> {
    /// What the comments above a line that is one itself say, up to another of the list or a heading.
    fn said_above(&self, index: usize) -> String {
        let above = self.lines[..index].iter().rev();
        let comments = above.map_while(|line| line.trim().strip_prefix('#')).map(str::trim);
        let is_said = |comment: &&str| {
            let key = comment.split([':', '=']).next().unwrap_or_default();
            let is_entry = key.len() < comment.len() && is_variable(key);
            !comment.is_empty() && !comment.starts_with('-') && !is_entry && !comment.contains("://")
        };
        let mut said: Vec<&str> = comments.take_while(is_said).take(4).collect();
        said.reverse();
        said.join(" ")
    }

    /// The comment above a line, where it begins with the word "required" alone.
    pub fn demand_above(&self, line: u32) -> String {
        let index = line.saturating_sub(self.first) as usize;
        let above = self.lines[..index.min(self.lines.len())].iter().rev();
        let comments = above.map_while(|line| line.trim().strip_prefix('#')).map(str::trim);
        let mut comments: Vec<&str> = comments.take(6).collect();
        comments.reverse();
        let head = comments.iter().position(|comment| {
            let word = comment.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
            ["required", "mandatory", "必填", "必须", "必須", "erforderlich", "requis"]
                .contains(&word.as_str())
        });
        head.map_or_else(String::new, |head| {
            format!("Required. {}", comments[head + 1..].join(" ")).trim().to_owned()
        })
    }

    /// What stands in a list of the service behind a `#`.
    pub fn commented(&self, container: &mut Container, range: &std::ops::Range<u32>) {
        let (start, end) = (range.start as usize, (range.end as usize).min(self.lines.len()));
        let mut key = "";
        let mut is_elsewhere = false;
        for (index, line) in self.lines.iter().enumerate().take(end).skip(start) {
            let text = line.trim();
            let number = self.first + u32::try_from(index).unwrap_or(0);
            let Some(comment) = text.strip_prefix('#') else {
                if let Some((name, rest)) = text.split_once(':')
                    && !text.starts_with('-')
                    && (rest.trim().is_empty() || rest.trim().starts_with('#'))
                {
                    key = name;
                }
                is_elsewhere = false;
                continue;
            };
            let comment = comment.trim();
            is_elsewhere |= self.begins_service(index, comment);
            if is_elsewhere {
                continue;
            }
            if let Some(name) = comment
                .strip_suffix(':')
                .filter(|name| ["ports", "volumes", "environment", "devices"].contains(name))
            {
                key = name;
            }
            let known = container.env.len();
            self.commented_item(container, key, comment, number);
            if let Some(entry) = container.env.get_mut(known) {
                entry.comment = self.said_above(index);
            }
        }
    }

    /// Whether a comment is the name of a service that is commented out whole: its image follows.
    fn begins_service(&self, index: usize, comment: &str) -> bool {
        let is_name = comment.strip_suffix(':').is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        });
        let next = self.lines.iter().skip(index + 1).take(5).map(|line| line.trim());
        let mut next = next.map_while(|line| line.strip_prefix('#')).map(str::trim);
        is_name
            && next.any(|line| line.starts_with("image:") || line.starts_with("build:"))
            && !["ports:", "volumes:", "environment:", "devices:", "depends_on:"].contains(&comment)
    }

    fn commented_item(&self, container: &mut Container, key: &str, comment: &str, line: u32) {
        let item = comment.strip_prefix('-').map(str::trim);
        let bare = |text: &str| {
            text.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
        };
        match (key, item) {
            ("ports", Some(item)) => {
                let ports = ports(&bare(item), line).into_iter();
                container.ports.extend(ports.map(|port| PortMap { is_commented: true, ..port }));
            }
            ("volumes", Some(item)) => {
                let mount = mount(&bare(item), line);
                container.mounts.extend(mount.map(|mount| MountMap { is_commented: true, ..mount }));
            }
            ("environment", item) => {
                let text = bare(item.unwrap_or(comment));
                let split = if item.is_some() { text.split_once('=') } else { text.split_once(':') };
                let name = split.map_or(text.as_str(), |(name, _)| name.trim());
                let is_upper = name.len() > 1
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
                // A service whose variables are in small letters has further ones like them.
                let is_lower = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let is_alike = item.is_some()
                    && split.is_some()
                    && is_lower(name)
                    && container.env.iter().any(|known| !known.is_commented && is_lower(&known.name));
                if (is_upper || is_alike) && is_variable(name) && (item.is_some() || split.is_some()) {
                    let value = split.map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned());
                    container.env.push(EnvEntry {
                        name: name.to_owned(),
                        value,
                        line,
                        comment: String::new(),
                        is_commented: true,
                    });
                }
            }
            (_, _) => {}
        }
    }
}
