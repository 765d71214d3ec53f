//! Which images the releases on this node run from: by their ids, so that going back means the very image that ran
//! before, whatever its name means by now; and so that those we brought go when no release needs them any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use modules::image::ImageName;
use tokio::time::timeout;

use crate::disk::{self, Durability};
use crate::log;
use crate::runtime::engine::images::{Image, Wanted, unfit};
use crate::runtime::engine::{Engine, EngineError, Engines, Kind};

/// One line of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    release: String,
    engine: String,
    name: String,
    id: String,
    whose: Whose,
}

/// How an image came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// We pulled it.
    Ours,
    /// We loaded it out of the release's package: for that release it is what its name means, for no other.
    Loaded,
    Theirs,
}

impl Whose {
    fn as_str(self) -> &'static str {
        match self {
            Whose::Ours => "ours",
            Whose::Loaded => "loaded",
            Whose::Theirs => "theirs",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "ours" => Whose::Ours,
            "loaded" => Whose::Loaded,
            _ => Whose::Theirs,
        }
    }

    fn is_ours(self) -> bool {
        matches!(self, Whose::Ours | Whose::Loaded)
    }
}

/// The images of the releases on this node, kept in a file.
pub struct ImageBook {
    path: PathBuf,
    entries: Mutex<Vec<Entry>>,
    /// One at a time: they share the line and the disk.
    bringing: tokio::sync::Mutex<()>,
}

impl ImageBook {
    pub fn open(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let entries = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [release, engine, name, id, whose] = words[..] else { return None };
            let [release, engine, name, id] = [release, engine, name, id].map(str::to_owned);
            Some(Entry { release, engine, name, id, whose: Whose::parse(whose) })
        });
        Self { entries: Mutex::new(entries.collect()), path, bringing: tokio::sync::Mutex::default() }
    }

    /// The image a release runs from: the one it ran from before, or what its name means now; brought if it has
    /// to be, and told apart from one for another processor. `tell` hears how far it is, `warn` what a person should
    /// know afterwards, too.
    ///
    /// # Errors
    /// Why it cannot be had, or cannot run here.
    pub async fn ensure(
        &self,
        engine: &Engine,
        release: &str,
        wanted: Wanted<'_>,
        tell: &(dyn Fn(String) + Sync),
        warn: &(dyn Fn(String) + Sync),
    ) -> Result<Image, EngineError> {
        if let Some(image) = self.known(engine, release, wanted.image).await? {
            return Ok(image);
        }
        let _turn = self.bringing.lock().await;
        if let Some(image) = self.known(engine, release, wanted.image).await? {
            return Ok(image);
        }
        let found = if wanted.archive.is_some() { None } else { engine.image(wanted.image).await? };
        let ours = if wanted.archive.is_some() { Whose::Loaded } else { Whose::Ours };
        let (image, whose) = match found {
            Some(image) => match self.not_meant(engine, &image, wanted) {
                Some(why) => (instead(engine, wanted, &why, tell).await?, ours),
                None if moves(wanted.image) => self.renewed(engine, wanted, image, tell, warn).await,
                None => (image, self.brought(engine, wanted.image)),
            },
            None => (engine.bring(wanted, tell).await?, ours),
        };
        if let Some(why) = unfit(&image, wanted.platform) {
            if whose.is_ours() {
                engine.forget_image(wanted.image).await;
            }
            return Err(EngineError::Image(format!("image {}: {why}", wanted.image)));
        }
        self.note(Entry {
            release: release.to_owned(),
            engine: engine.kind.to_string(),
            name: wanted.image.to_owned(),
            id: image.id.clone(),
            whose,
        });
        Ok(image)
    }

    /// Why an image that is here under the wanted name is not what the name means.
    fn not_meant(&self, engine: &Engine, here: &Image, wanted: Wanted<'_>) -> Option<String> {
        let kind = engine.kind.to_string();
        let is_it = |entry: &&Entry| entry.id == here.id && entry.engine == kind;
        let entries = self.entries();
        let mut known = entries.iter().filter(is_it).map(|entry| entry.whose).peekable();
        if known.peek().is_some() && known.all(|whose| whose == Whose::Loaded) {
            return Some("the one that is here was loaded out of another release's package".to_owned());
        }
        unfit(here, wanted.platform)
    }

    /// What a name means that may mean another image by now: that of its registry, else the one that is here.
    async fn renewed(
        &self,
        engine: &Engine,
        wanted: Wanted<'_>,
        here: Image,
        tell: &(dyn Fn(String) + Sync),
        warn: &(dyn Fn(String) + Sync),
    ) -> (Image, Whose) {
        let was = self.brought(engine, wanted.image);
        match attempt(engine, wanted, tell).await {
            Ok(image) if image.id == here.id => (image, was),
            Ok(image) => (image, Whose::Ours),
            Err(why) => {
                warn(format!(
                    "image {} is taken as it is here, as it could not be pulled again: {why}",
                    wanted.image
                ));
                tracing::warn!(image = wanted.image, why, "image not pulled again");
                (here, was)
            }
        }
    }

    async fn known(&self, engine: &Engine, release: &str, name: &str) -> Result<Option<Image>, EngineError> {
        let kind = engine.kind.to_string();
        let id = self
            .entries()
            .iter()
            .find(|entry| entry.release == release && entry.name == name && entry.engine == kind)
            .map(|entry| entry.id.clone());
        match id {
            Some(id) => engine.image(&id).await,
            None => Ok(None),
        }
    }

    /// Whether an image of this name is here because we brought it for another release.
    fn brought(&self, engine: &Engine, name: &str) -> Whose {
        let kind = engine.kind.to_string();
        let is_ours = |entry: &Entry| entry.name == name && entry.engine == kind && entry.whose.is_ours();
        if self.entries().iter().any(is_ours) { Whose::Ours } else { Whose::Theirs }
    }

    fn note(&self, entry: Entry) {
        let mut entries = self.entries();
        entries.retain(|other| {
            (&other.release, &other.name, &other.engine) != (&entry.release, &entry.name, &entry.engine)
        });
        entries.push(entry);
        self.write(&entries);
    }

    /// Removes what we brought for releases that are no longer here.
    pub async fn sweep(&self, engines: &Engines, is_here: impl Fn(&str) -> bool) {
        let (kept, gone): (Vec<Entry>, Vec<Entry>) =
            self.entries().clone().into_iter().partition(|entry| is_here(&entry.release));
        if gone.is_empty() {
            return;
        }
        let mut left = BTreeSet::new();
        for entry in gone.iter().filter(|entry| entry.whose.is_ours()) {
            let Some(engine) = Kind::parse(&entry.engine).and_then(|kind| engines.of(kind)) else {
                left.insert(entry.release.clone());
                continue;
            };
            if kept.iter().any(|other| other.id == entry.id && other.engine == entry.engine) {
                continue;
            }
            let current = engine.image(&entry.name).await.ok().flatten();
            if current.is_some_and(|image| image.id == entry.id) {
                engine.forget_image(&entry.name).await;
            }
            engine.forget_image(&entry.id).await;
            tracing::info!(image = entry.name, "image removed");
        }
        let mut entries = self.entries();
        entries.retain(|entry| !gone.contains(entry) || left.contains(&entry.release));
        self.write(&entries);
    }

    fn write(&self, entries: &[Entry]) {
        let text: String = entries
            .iter()
            .map(|entry| {
                let Entry { release, engine, name, id, whose } = entry;
                format!("{release} {engine} {name} {id} {}\n", whose.as_str())
            })
            .collect();
        if let Err(error) = disk::replace(&self.path, text.as_bytes(), 0o600, Durability::Crash) {
            tracing::warn!(%error, "the book of images could not be written");
        }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings an image although one of its name is here, which is not the one that is meant.
async fn instead(
    engine: &Engine,
    wanted: Wanted<'_>,
    why: &str,
    tell: &(dyn Fn(String) + Sync),
) -> Result<Image, EngineError> {
    attempt(engine, wanted, tell).await.map_err(|cause| {
        EngineError::Image(format!("image {}: {why}; and it could not be pulled: {cause}", wanted.image))
    })
}

/// A registry that is not heard of for this long is away. One that sends is waited for.
const AWAY: Duration = Duration::from_secs(20);

async fn attempt(
    engine: &Engine,
    wanted: Wanted<'_>,
    tell: &(dyn Fn(String) + Sync),
) -> Result<Image, String> {
    let told = AtomicUsize::new(0);
    let listen = |text: String| {
        told.fetch_add(1, Ordering::Relaxed);
        tell(text);
    };
    let mut bringing = std::pin::pin!(engine.bring(wanted, &listen));
    let brought = match timeout(AWAY, &mut bringing).await {
        Ok(brought) => brought,
        // The first word is ours: that it is pulled.
        Err(_) if told.load(Ordering::Relaxed) > 1 => bringing.await,
        Err(_) => return Err(format!("its registry says nothing for {AWAY:?}")),
    };
    brought.map_err(|error| log::chain(&error))
}

/// Whether a name means whatever is newest: `latest`, said or not.
fn moves(image: &str) -> bool {
    ImageName::parse(image)
        .is_ok_and(|name| name.digest.is_none() && name.tag.as_deref().is_none_or(|tag| tag == "latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_latest_moves() {
        let digest = format!("web@sha256:{}", "a".repeat(64));
        for (image, expected) in [
            ("web", true),
            ("web:latest", true),
            ("ghcr.io/kettle/web:latest", true),
            ("localhost:5000/web", true),
            ("web:1.2", false),
            ("web:stable", false),
            (digest.as_str(), false),
        ] {
            assert_eq!(moves(image), expected, "{image}");
        }
    }
}
