//! Parts of volumes. The engine mounts one by its path, as root and following links: whoever may write to what the part
//! lies in while another container starts can put a link in its place, to anything on the node.

use std::path::{Path, PathBuf};

use crate::scene::SceneError;

/// What a service mounts of the volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub service: String,
    pub path: PathBuf,
    pub is_read_only: bool,
}

/// # Errors
/// When a service mounts a part of what another one may write to.
pub fn check(parts: &[Part]) -> Result<(), SceneError> {
    for part in parts {
        let leads = |other: &&Part| {
            other.service != part.service && !other.is_read_only && is_below(&part.path, &other.path)
        };
        if let Some(other) = parts.iter().find(leads) {
            return Err(SceneError::Part {
                service: part.service.clone(),
                path: part.path.strip_prefix(&other.path).unwrap_or(&part.path).to_owned(),
                other: other.service.clone(),
            });
        }
    }
    Ok(())
}

fn is_below(path: &Path, folder: &Path) -> bool {
    path != folder && path.starts_with(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_mounts_a_part_of_what_another_container_may_write_to() {
        let part = |service: &str, path: &str, is_read_only| Part {
            service: service.to_owned(),
            path: PathBuf::from(path),
            is_read_only,
        };
        let web = part("web", "/v/data/deep/part", true);
        for (other, is_refused) in [
            (part("db", "/v/data", false), true),
            (part("db", "/v/data/deep", false), true),
            (part("db", "/v/data", true), false),
            (part("db", "/v/data/deep/part", false), false),
            (part("db", "/v/data/deep/part/more", false), false),
            (part("db", "/v/data/de", false), false),
            (part("web", "/v/data", false), false),
        ] {
            let got = check(&[web.clone(), other.clone()]);
            assert_eq!(got.is_err(), is_refused, "{other:?}");
        }
        let error = check(&[web, part("db", "/v/data", false)]).expect_err("refused").to_string();
        assert!(
            error.starts_with("service web mounts deep/part of a volume that service db may write to"),
            "{error}"
        );
    }
}
