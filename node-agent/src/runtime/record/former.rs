//! Records of agents that kept them in the folders of instances, where an instance's own user may write. An agent that
//! comes after such a one takes them over, once, so that it adopts what runs.
//!
//! It believes only what an agent must have written: a file and no link, the agent's own, that nobody else may write
//! and that has no other name. What its user can do to such a file is to move it. A unit is believed only under a name that
//! agents give: one of the system's is found running all the same when it is started again.
//!
//! The old files stay: an upgraded agent on trial may be followed by the former one.

use std::fs;
use std::path::Path;

use crate::config::DataDir;
use crate::disk::{self, Durability, Folder};
use crate::lane::Lane;
use crate::runtime::record::{self, FILE};
use crate::runtime::unit;

/// How far the output of a container was copied.
const SEEN: &str = "seen";

pub fn take_over(data: &DataDir) {
    for (id, lane) in Lane::left(data) {
        let (instance, records) = (lane.dir(data, &id), lane.records(data, &id));
        if records.join(FILE).exists() {
            continue;
        }
        let taken = take_over_one(&instance, &records);
        if let Some(Err(error)) = taken {
            tracing::warn!(instance = %id, error = crate::log::chain(&error), "a former record stays behind");
        }
    }
}

fn take_over_one(instance: &Path, records: &Path) -> Option<Result<(), disk::DiskError>> {
    let folder = Folder::open(instance).ok()?;
    let bytes = folder.read_own(Path::new(FILE))?;
    let record = record::parse(&bytes)?;
    if unit::recorded(&record.engine).is_some_and(|name| !unit::is_ours(name)) {
        return None;
    }
    let seen = fs::read_dir(instance).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let seen = seen.filter(|name| Path::new(name).extension().is_some_and(|kind| kind == SEEN));
    let files = seen.filter_map(|name| Some((folder.read_own(Path::new(&name))?, name)));
    // The record comes last: with it, all is taken over.
    let files = files.chain([(bytes, FILE.into())]);
    let put = |(bytes, name): (Vec<u8>, std::ffi::OsString)| {
        disk::replace(&records.join(name), &bytes, 0o600, Durability::PowerLoss)
    };
    Some(disk::make_dir(records, 0o700).and_then(|()| files.into_iter().try_for_each(put)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};
    use std::path::PathBuf;

    use proto::ids::InstanceId;

    use super::*;
    use crate::runtime::record::Record;

    /// What becomes of a record at its old place, after `harm` was done to it.
    fn check(record: &Record, harm: impl Fn(&Path), is_taken: bool) {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = DataDir(dir.path().to_owned());
        let id = InstanceId::parse("web/0").expect("an id");
        let (instance, records) = (Lane::Second.dir(&data, &id), Lane::Second.records(&data, &id));
        fs::create_dir_all(&instance).expect("made");
        record::write(&instance, record).expect("written");
        harm(&instance.join(FILE));
        take_over(&data);
        assert_eq!(record::read(&records), is_taken.then(|| record.clone()));
    }

    fn process() -> Record {
        Record { pid: 4711, start: 12, boot_id: "b".into(), ..Record::default() }
    }

    #[test]
    fn what_a_former_agent_wrote_is_taken_over() {
        check(&process(), |_| (), true);
        for (engine, is_taken) in
            [("Docker", true), ("systemd:orchestrator-web-0.service", true), ("systemd:ssh.service", false)]
        {
            check(&Record { engine: engine.into(), ..Record::default() }, |_| (), is_taken);
        }
    }

    #[test]
    fn what_a_service_may_have_written_is_not() {
        let aside = |path: &Path| -> PathBuf { path.with_extension("aside") };
        let linked = |path: &Path| {
            fs::rename(path, aside(path)).and_then(|()| symlink(aside(path), path)).expect("linked");
        };
        check(&process(), linked, false);
        check(&process(), |path| fs::hard_link(path, aside(path)).expect("linked"), false);
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o622)).expect("set");
        check(&process(), open, false);
        if crate::report::facts::is_root() {
            check(&process(), |path| lchown(path, Some(4711), None).expect("given"), false);
        }
    }
}
