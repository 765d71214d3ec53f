//! Images: pulled with progress or loaded from the release's folder, checked against this node's processor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use modules::image::{ImageName, archive};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::containers::text;
use super::http::{Body, Request, Response};
use super::{Engine, EngineError, escape};

mod fit;

pub use fit::unfit;

/// A pull that says nothing for so long is stuck.
const SILENCE: Duration = Duration::from_secs(180);

/// What is to be brought, and how.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    pub image: &'w str,
    /// An archive to load instead of pulling.
    pub archive: Option<&'w Path>,
    /// All images that are wanted of that archive, this one among them.
    pub archived: &'w [String],
    /// `os/arch[/variant]`; empty: the node's own.
    pub platform: &'w str,
    /// `user:password` for the registry; empty: none.
    pub login: &'w str,
}

/// An image that is on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub os: String,
    pub arch: String,
    /// Of ARM: `v6`, `v7`; empty where the image does not say it.
    pub variant: String,
    /// The image's own check: program and arguments, and its times in nanoseconds.
    pub healthcheck: Option<Value>,
    /// Where its containers keep what they write, if nothing else is mounted there.
    pub volumes: Vec<String>,
}

impl Engine {
    /// # Errors
    /// When the engine is away; an image that is not there is none.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, EngineError> {
        match self.get(&format!("/images/{}/json", escape_name(name))).await {
            Ok(found) => Ok(Some(Image {
                id: text(&found["Id"]),
                os: text(&found["Os"]),
                arch: text(&found["Architecture"]),
                variant: text(&found["Variant"]),
                healthcheck: found["Config"].get("Healthcheck").filter(|check| !check.is_null()).cloned(),
                volumes: found["Config"]["Volumes"]
                    .as_object()
                    .into_iter()
                    .flat_map(Map::keys)
                    .cloned()
                    .collect(),
            })),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Brings an image to the node, and tells how far it is.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn bring(
        &self,
        wanted: Wanted<'_>,
        tell: &(dyn Fn(String) + Sync),
    ) -> Result<Image, EngineError> {
        let (name, ids) = match wanted.archive {
            Some(archive) => {
                let ids = look_into(wanted, archive).await?;
                (self.load(wanted, archive, tell).await?, ids)
            }
            None => {
                self.pull(wanted, tell).await?;
                (wanted.image.to_owned(), None)
            }
        };
        let image = self.image(&name).await?;
        let image = image.ok_or_else(|| {
            EngineError::Image(format!("image {name} is not there although it was brought"))
        })?;
        let digest = |id: &str| if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") };
        if ids.is_some_and(|ids| !ids.contains(&digest(&image.id))) {
            self.forget_image(&name).await;
            let message = format!("image {}: what was loaded is another one: {}", wanted.image, image.id);
            return Err(EngineError::Image(message));
        }
        Ok(image)
    }

    async fn pull(&self, wanted: Wanted<'_>, tell: &(dyn Fn(String) + Sync)) -> Result<(), EngineError> {
        let name = ImageName::parse(wanted.image)
            .map_err(|error| EngineError::Image(format!("image {:?}: {error}", wanted.image)))?;
        let repository = match &name.registry {
            Some(registry) => format!("{registry}/{}", name.repository),
            None => name.repository.clone(),
        };
        let version = name.digest.as_deref().or(name.tag.as_deref()).unwrap_or("latest");
        let mut path = format!("/images/create?fromImage={}&tag={}", escape(&repository), escape(version));
        if !wanted.platform.is_empty() {
            path.push_str(&format!("&platform={}", escape(wanted.platform)));
        }
        let headers = match wanted.login.split_once(':') {
            Some((user, password)) => {
                let login = json!({ "username": user, "password": password, "serveraddress": name.registry_or_hub() });
                format!("X-Registry-Auth: {}\r\n", base64url(login.to_string().as_bytes()))
            }
            None => String::new(),
        };
        tell(format!("pulling {}", wanted.image));
        let request = Request { method: "POST", path: &path, headers, body: Body::Nothing };
        // Nothing comes before the registry has answered.
        let slow = |_| EngineError::Slow { kind: self.kind, limit: SILENCE };
        let opened = timeout(SILENCE, self.open(request)).await.map_err(slow)?;
        let response = opened.map_err(|error| refused(error, wanted.image, name.registry_or_hub()))?;
        let mut layers = Layers::default();
        let pulled = self.follow(response, |event| {
            if let Some(said) = layers.take(event) {
                tell(format!("pulling {}: {said}", wanted.image));
            }
        });
        pulled.await.map_err(|error| refused(error, wanted.image, name.registry_or_hub()))
    }

    /// Gives the name or id that was loaded.
    async fn load(
        &self,
        wanted: Wanted<'_>,
        archive: &Path,
        tell: &(dyn Fn(String) + Sync),
    ) -> Result<String, EngineError> {
        let image = wanted.image;
        let unreadable = |cause| EngineError::Archive { path: archive.to_owned(), cause };
        let file = tokio::fs::File::open(archive).await.map_err(unreadable)?;
        let size = file.metadata().await.map_err(unreadable)?.len();
        tell(format!("loading {image} from the package"));
        let request = Request {
            method: "POST",
            path: "/images/load?quiet=1",
            headers: String::new(),
            body: Body::Archive(file, size),
        };
        let response = self.open(request).await.map_err(|error| not_loaded(error, archive))?;
        let mut loaded = Vec::new();
        let followed = self.follow(response, |event| {
            let said = text(&event["stream"]);
            let names =
                said.lines().filter_map(|line| line.split_once(": ").map(|(_, name)| name.trim().to_owned()));
            loaded.extend(names);
        });
        followed.await.map_err(|error| not_loaded(error, archive))?;
        choose(wanted, &loaded).ok_or_else(|| {
            EngineError::Image(match &loaded[..] {
                [] => format!("there is no image in {}", archive.display()),
                some => format!("{} holds {}, but not {image}", archive.display(), some.join(", ")),
            })
        })
    }

    /// Reads lines of JSON to their end; one that tells of an error ends it.
    async fn follow(&self, mut response: Response, mut take: impl FnMut(&Value)) -> Result<(), EngineError> {
        let mut buffer = Vec::new();
        loop {
            let slow = |_| EngineError::Slow { kind: self.kind, limit: SILENCE };
            let piece = timeout(SILENCE, response.piece()).await.map_err(slow)?;
            let piece = piece.map_err(|cause| self.unreachable(cause))?;
            let is_end = piece.is_empty();
            buffer.extend(piece);
            let whole = if is_end {
                buffer.len()
            } else {
                buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
            };
            let rest = buffer.split_off(whole);
            for event in
                serde_json::Deserializer::from_slice(&buffer).into_iter::<Value>().map_while(Result::ok)
            {
                if let Some(message) = event["error"].as_str() {
                    return Err(EngineError::Refused {
                        kind: self.kind,
                        status: 500,
                        message: message.to_owned(),
                    });
                }
                take(&event);
            }
            buffer = rest;
            if is_end {
                return Ok(());
            }
        }
    }

    /// Forgets an image under this name, and wholly where it has no other; one in use stays.
    pub async fn forget_image(&self, name: &str) {
        let _ = self.delete(&format!("/images/{}", escape_name(name))).await;
    }
}

/// Which of the images that an archive brought is the one that is wanted: that of its name, or the only one where nothing
/// else is wanted of the archive.
fn choose(wanted: Wanted<'_>, loaded: &[String]) -> Option<String> {
    let canonical = |name: &str| ImageName::parse(name).map(|name| name.canonical()).ok();
    let of_name =
        loaded.iter().find(|name| canonical(name).is_some_and(|name| Some(name) == canonical(wanted.image)));
    match loaded {
        [only] if wanted.archived.len() < 2 => Some(only.clone()),
        _ => of_name.cloned(),
    }
}

/// Whether loading an archive would set no name but those that are wanted of it; the ids that a pinned image may have.
async fn look_into(wanted: Wanted<'_>, place: &Path) -> Result<Option<BTreeSet<String>>, EngineError> {
    let parse = |image: &str| {
        ImageName::parse(image).map_err(|error| EngineError::Image(format!("image {image:?}: {error}")))
    };
    let image = parse(wanted.image)?;
    let mut names = wanted.archived.iter().map(|image| parse(image)).collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        names.push(image.clone());
    }
    let path = place.to_owned();
    let file = tokio::fs::File::open(place).await;
    let file = file.map_err(|cause| EngineError::Archive { path: path.clone(), cause })?.into_std().await;
    let looked = tokio::task::spawn_blocking(move || {
        let found = archive::read_file(file)?;
        found.check(&names)?;
        found.pinned(&image)
    });
    let looked = looked.await.expect("looking into an archive does not panic");
    looked.map_err(|error| {
        EngineError::Image(format!("{} cannot be loaded: {}", path.display(), crate::log::chain(&error)))
    })
}

/// Slashes part the name, and stay; so do the signs before tag and digest.
fn escape_name(name: &str) -> String {
    escape(name).replace("%2F", "/").replace("%3A", ":").replace("%40", "@")
}

/// Bytes of the layers of a pull, so far and in all.
#[derive(Default)]
struct Layers {
    bytes: BTreeMap<String, (u64, u64)>,
    last: String,
}

impl Layers {
    /// Something to tell, if it is news.
    fn take(&mut self, event: &Value) -> Option<String> {
        let id = event["id"].as_str()?;
        let detail = &event["progressDetail"];
        let layer = self.bytes.entry(id.to_owned()).or_default();
        match (event["status"].as_str()?, detail["current"].as_u64(), detail["total"].as_u64()) {
            ("Downloading", Some(current), Some(total)) => *layer = (current, total),
            ("Download complete" | "Pull complete" | "Already exists", ..) => layer.0 = layer.1,
            _ => return None,
        }
        let (done, all) = self.bytes.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let said = match all {
            0 => return None,
            all => format!("{} of {}", mib(done), mib(all)),
        };
        (said != self.last).then(|| said.clone_into(&mut self.last)).map(|()| said)
    }
}

fn mib(bytes: u64) -> String {
    if bytes < 10 << 20 {
        format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

/// What a registry's refusal means for people.
fn refused(error: EngineError, image: &str, registry: &str) -> EngineError {
    let EngineError::Refused { message, .. } = &error else { return error };
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let why =
        if has(&["no matching manifest", "no image found in manifest list", "no image found in image index"])
        {
            format!("image {image} is not made for this node's processor ({})", std::env::consts::ARCH)
        } else if has(&[
            "unauthorized",
            "authentication required",
            "no basic auth",
            "incorrect username",
            "denied: ",
            "401",
        ]) && !has(&["pull access denied"])
        {
            format!("image {image}: {registry} refuses the login, or wants one (pull_secret): {message}")
        } else if has(&[
            "manifest unknown",
            "not found",
            "pull access denied",
            "does not exist",
            "name unknown",
        ]) {
            format!("image {image} is not in {registry}, or needs a login (pull_secret): {message}")
        } else if has(&[
            "no such host",
            "connection refused",
            "i/o timeout",
            "deadline exceeded",
            "Client.Timeout",
            "no route to host",
            "network is unreachable",
            "server misbehaving",
        ]) {
            format!("image {image}: {registry} cannot be reached: {message}")
        } else {
            format!("image {image} could not be pulled: {message}")
        };
    EngineError::Image(why)
}

fn not_loaded(error: EngineError, archive: &Path) -> EngineError {
    match &error {
        EngineError::Refused { message, .. } => {
            EngineError::Image(format!("{} is no image: {message}", archive.display()))
        }
        _ => error,
    }
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_written_as_engines_read_it() {
        for (plain, encoded) in
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("\u{3ff}\u{3ff}", "z7_Pvw==")]
        {
            assert_eq!(base64url(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn of_an_archive_for_several_services_each_gets_the_image_of_its_name() {
        let two = ["web:1".to_owned(), "db:1".to_owned()];
        let cases: [(&[String], &[&str], Option<&str>); 4] = [
            (&two, &["docker.io/library/web:1", "docker.io/library/db:1"], Some("docker.io/library/web:1")),
            // It must not run another service's image.
            (&two, &["db:1"], None),
            (&two[..1], &["sha256:abc"], Some("sha256:abc")),
            (&two[..1], &["db:1", "cache:1"], None),
        ];
        for (archived, loaded, expected) in cases {
            let wanted = Wanted { image: "web:1", archive: None, archived, platform: "", login: "" };
            let loaded: Vec<String> = loaded.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(choose(wanted, &loaded).as_deref(), expected, "{loaded:?}");
        }
    }

    #[test]
    fn progress_is_told_over_all_layers_and_only_when_it_moves() {
        let mut layers = Layers::default();
        let event = |id: &str, status: &str, current: u64| json!({ "id": id, "status": status, "progressDetail": { "current": current, "total": 20 << 20 } });
        assert_eq!(layers.take(&json!({ "status": "Pulling from library/x", "id": "1" })), None);
        assert_eq!(layers.take(&event("a", "Downloading", 1 << 20)).as_deref(), Some("1.0 MiB of 20 MiB"));
        assert_eq!(layers.take(&event("a", "Downloading", 1 << 20)), None);
        assert_eq!(layers.take(&event("b", "Downloading", 12 << 20)).as_deref(), Some("13 MiB of 40 MiB"));
        assert_eq!(
            layers.take(&json!({ "id": "a", "status": "Download complete" })).as_deref(),
            Some("32 MiB of 40 MiB")
        );
    }
}
