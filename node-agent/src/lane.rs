//! The two places where an instance can run. It is in one of them; only while a release with `update.strategy:
//! start-first` starts beside the former one are both in use, and then the instance has moved to the other.
//!
//! Each has its own folder, mark, containers and automatic ports. Volumes and logs are the instance's.

use std::path::PathBuf;

use proto::ids::InstanceId;

use crate::config::DataDir;
use crate::content::Content;
use crate::runtime::record;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    #[default]
    First,
    Second,
}

impl Lane {
    pub const BOTH: [Lane; 2] = [Lane::First, Lane::Second];

    pub fn other(self) -> Self {
        match self {
            Lane::First => Lane::Second,
            Lane::Second => Lane::First,
        }
    }

    /// What is appended where names must differ.
    pub fn suffix(self) -> &'static str {
        match self {
            Lane::First => "",
            Lane::Second => "-second",
        }
    }

    /// By which the agent with this token knows what runs here.
    pub fn token(self, agent: &str) -> String {
        format!("{agent}{}", self.suffix())
    }

    /// The name of the instance's folders.
    pub fn folder(self, id: &InstanceId) -> String {
        format!("{}{}", id.file_name(), self.suffix())
    }

    pub fn dir(self, data: &DataDir, id: &InstanceId) -> PathBuf {
        data.instances().join(self.folder(id))
    }

    /// Where the agent keeps what it must be able to trust.
    pub fn records(self, data: &DataDir, id: &InstanceId) -> PathBuf {
        data.records().join(self.folder(id))
    }

    /// Whose folder of `instances/` or `records/` this is.
    pub fn parse(folder: &str) -> Option<(InstanceId, Self)> {
        let (name, lane) = match folder.strip_suffix(Lane::Second.suffix()) {
            Some(name) => (name, Lane::Second),
            None => (folder, Lane::First),
        };
        let (deployment, index) = name.rsplit_once('.')?;
        Some((InstanceId::parse(&format!("{deployment}/{index}")).ok()?, lane))
    }

    /// Where an instance is, by what an earlier agent put on record: with what was healthy last.
    pub fn of(data: &DataDir, id: &InstanceId, settled: Option<Content>) -> Self {
        let [first, second] = Lane::BOTH.map(|lane| lane.held(data, id));
        match (first, second) {
            (None, Some(_)) => Lane::Second,
            (Some(_), Some(_)) if second == settled => Lane::Second,
            (_, None) | (Some(_), Some(_)) => Lane::First,
        }
    }

    /// Those that something may run in: looking through all processes takes its time.
    pub fn in_use(data: &DataDir) -> Vec<Self> {
        match Self::left(data).iter().any(|(_, lane)| *lane == Lane::Second) {
            true => Self::BOTH.to_vec(),
            false => vec![Lane::First],
        }
    }

    /// What instances have left on the disk, and where.
    pub fn left(data: &DataDir) -> Vec<(InstanceId, Self)> {
        let folders = [data.instances(), data.records()].map(std::fs::read_dir);
        let entries = folders.into_iter().flatten().flatten().flatten();
        entries.filter_map(|entry| Self::parse(entry.file_name().to_str()?)).collect()
    }

    /// What is on record as running here, be it alive or not.
    pub fn held(self, data: &DataDir, id: &InstanceId) -> Option<Content> {
        record::read(&self.records(data, id))?.known_content()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::record::Record;

    #[test]
    fn an_instance_is_where_what_was_healthy_last_is_on_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir(folder.path().to_owned());
        let id = InstanceId::parse("web/0").expect("an id");
        let [old, new] = [1, 2].map(|byte| Content::from_bytes(&[byte; 32]));
        let put = |lane: Lane, content: Option<Content>| {
            let dir = lane.records(&data, &id);
            std::fs::create_dir_all(&dir).expect("made");
            let bytes = content.map_or_else(Vec::new, |content| content.as_bytes().to_vec());
            record::write(&dir, &Record { content: bytes, ..Record::default() }).expect("written");
        };
        assert_eq!(Lane::of(&data, &id, None), Lane::First, "nothing is on record");
        assert_eq!(Lane::in_use(&data), [Lane::First]);
        put(Lane::Second, new);
        assert_eq!(Lane::of(&data, &id, old), Lane::Second, "only the second is on record");
        assert_eq!(Lane::in_use(&data), Lane::BOTH);
        put(Lane::First, old);
        assert_eq!(Lane::of(&data, &id, old), Lane::First, "the new one is on trial");
        assert_eq!(Lane::of(&data, &id, new), Lane::Second, "the new one has taken over");
        put(Lane::First, None);
        assert_eq!(Lane::of(&data, &id, old), Lane::Second, "the old one is stopped");
    }

    #[test]
    fn a_folder_tells_whose_it_is() {
        let id = InstanceId::parse("web-second/3").expect("an id");
        for lane in Lane::BOTH {
            assert_eq!(Lane::parse(&lane.folder(&id)), Some((id.clone(), lane)));
        }
        assert_eq!(Lane::parse("web"), None);
    }
}
