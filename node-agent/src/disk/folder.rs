//! A folder that somebody else may write to, held open: what is in it is reached by name from there, and no link is
//! followed, neither on the way nor at its end. So nobody leads the agent to files of others by what he puts there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::{DiskError, temp_of};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// Folders in folders, below which nothing is handed over: each is held open meanwhile.
const DEEPEST: usize = 200;

/// Whose something is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// A folder that is open.
#[derive(Debug)]
pub struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder; whatever leads to it is trusted.
    ///
    /// # Errors
    /// When it is none, or a link.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let dir = rustix::fs::open(path, FOLDER, Mode::empty());
        Ok(Self { dir: dir.map_err(failed("enter", path))?, path: path.to_owned() })
    }

    /// Enters one that is in it, and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or something else has its name.
    pub fn enter(&self, name: &Path, mode: u32) -> Result<Self, DiskError> {
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.dir, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(cause) => return Err(failed("make or enter", &path)(cause)),
        }
        let dir = rustix::fs::openat(&self.dir, name, FOLDER, Mode::empty());
        Ok(Self { dir: dir.map_err(failed("make or enter", &path))?, path })
    }

    /// Enters one at the end of a path, and makes what is missing: the last one with `mode`, those on the way so that
    /// everybody may pass.
    ///
    /// # Errors
    /// When one cannot be made, or something else has its name.
    pub fn enter_all(self, path: &Path, mode: u32) -> Result<Self, DiskError> {
        const PASSABLE: u32 = 0o755;
        let mut names = path.components().filter_map(name).peekable();
        let mut folder = self;
        while let Some(name) = names.next() {
            let mode = if names.peek().is_some() { PASSABLE } else { mode };
            folder = folder.enter(name, mode)?;
        }
        Ok(folder)
    }

    /// Like `enter_all`, but does not enter the last one, which somebody else may have closed.
    ///
    /// # Errors
    /// When one cannot be made, or something else has its name.
    pub fn make_all(self, path: &Path, mode: u32) -> Result<(), DiskError> {
        let (Some(above), Some(last)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let folder = self.enter_all(above, 0o755)?;
        let path = folder.path.join(last);
        match rustix::fs::mkdirat(&folder.dir, last, Mode::from_raw_mode(mode)) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(cause) => return Err(failed("make or enter", &path)(cause)),
        }
        let stat = rustix::fs::statat(&folder.dir, last, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(failed("make or enter", &path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(()),
            _ => Err(failed("make or enter", &path)(Errno::NOTDIR)),
        }
    }

    /// Gives a file in it this content and owner, in one step. One that has the content already is left as it is, so
    /// that a full disk does not stop a restart.
    ///
    /// # Errors
    /// When any step fails; the old content is untouched then and the temporary file is gone.
    pub fn put(&self, name: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> Result<(), DiskError> {
        let path = self.path.join(name);
        if let Some(file) = self.file_of(name, content) {
            return give(&file, owner).map_err(failed("hand over", &path));
        }
        let temp = temp_of(name);
        let written = self.write_new(&temp, content, mode, owner).and_then(|()| {
            rustix::fs::renameat(&self.dir, &temp, &self.dir, name)?;
            Ok(())
        });
        written.map_err(|cause| {
            let _ = rustix::fs::unlinkat(&self.dir, &temp, AtFlags::empty());
            DiskError::new("write", &path, cause)
        })
    }

    /// Gives the folder itself away.
    ///
    /// # Errors
    /// When that may not be done.
    pub fn hand_over(&self, owner: Owner) -> Result<(), DiskError> {
        give(&self.dir, Some(owner)).map_err(failed("hand over", &self.path))
    }

    /// Gives it away with all that is in it. The top comes last, so that a crash in the middle is made good by the
    /// next start.
    ///
    /// # Errors
    /// When something in it may not be given away, or is nested too deep.
    pub fn hand_over_tree(&self, owner: Owner) -> Result<(), DiskError> {
        self.hand_over_below(owner, DEEPEST)
    }

    fn hand_over_below(&self, owner: Owner, depth: usize) -> Result<(), DiskError> {
        let Some(depth) = depth.checked_sub(1) else {
            let cause = io::Error::other("it is nested too deep");
            return Err(DiskError::new("hand over", &self.path, cause));
        };
        let entries = Dir::read_from(&self.dir).map_err(failed("read", &self.path))?;
        for entry in entries {
            let entry = entry.map_err(failed("read", &self.path))?;
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            if [Path::new("."), Path::new("..")].contains(&name) {
                continue;
            }
            match rustix::fs::openat(&self.dir, name, FOLDER, Mode::empty()) {
                Ok(dir) => Self { dir, path: self.path.join(name) }.hand_over_below(owner, depth)?,
                Err(Errno::NOTDIR | Errno::LOOP) => self.give_entry(name, owner)?,
                Err(Errno::NOENT) => {}
                Err(cause) => return Err(failed("enter", &self.path.join(name))(cause)),
            }
        }
        self.hand_over(owner)
    }

    /// The entry itself, also where it is a link.
    fn give_entry(&self, name: &Path, owner: Owner) -> Result<(), DiskError> {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        let given = rustix::fs::chownat(&self.dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        given.map_err(failed("hand over", &self.path.join(name)))
    }

    /// # Errors
    /// When it cannot be asked.
    pub fn owner(&self) -> Result<u32, DiskError> {
        let stat = rustix::fs::fstat(&self.dir).map_err(failed("look at", &self.path))?;
        Ok(stat.st_uid)
    }

    /// What is in a small file that nobody but the agent can have written.
    pub fn read_own(&self, name: &Path) -> Option<Vec<u8>> {
        const MOST: u64 = 64 << 10;
        let (file, stat) = self.file(name)?;
        let is_own = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0;
        let mut bytes = Vec::new();
        is_own.then(|| file.take(MOST).read_to_end(&mut bytes).ok())??;
        Some(bytes)
    }

    /// A file, if it has no other name besides: by that, it may be anybody's.
    fn file(&self, name: &Path) -> Option<(File, Stat)> {
        // A pipe that nobody writes to must not hold up the agent.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::empty()).ok()?);
        let stat = rustix::fs::fstat(&file).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (is_file && stat.st_nlink == 1).then_some((file, stat))
    }

    /// The file of this name, if it has this very content.
    fn file_of(&self, name: &Path, content: &[u8]) -> Option<File> {
        let (mut file, _) = self.file(name)?;
        let mut present = Vec::with_capacity(content.len() + 1);
        (&mut file).take(content.len() as u64 + 1).read_to_end(&mut present).ok()?;
        (present == content).then_some(file)
    }

    fn write_new(&self, temp: &Path, content: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.dir, temp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(cause) => return Err(cause.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let mut file = File::from(rustix::fs::openat(&self.dir, temp, flags, mode)?);
        file.write_all(content)?;
        Ok(give(&file, owner)?)
    }
}

fn name<'p>(part: Component<'p>) -> Option<&'p Path> {
    match part {
        Component::Normal(name) => Some(Path::new(name)),
        _ => None,
    }
}

fn give(file: impl AsFd, owner: Option<Owner>) -> Result<(), Errno> {
    let Some(Owner { uid, gid }) = owner else { return Ok(()) };
    rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

fn failed(action: &'static str, path: &Path) -> impl Fn(Errno) -> DiskError {
    move |cause| DiskError::new(action, path, cause.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_is_made_or_left_without_being_entered_and_a_link_is_none() {
        let (_dir, own, _) = stage();
        let make = |path: &str| Folder::open(&own).and_then(|folder| folder.make_all(Path::new(path), 0o750));
        make("a/b").expect("made");
        assert_eq!(fs::metadata(own.join("a/b")).expect("is there").permissions().mode() & 0o777, 0o750);
        fs::set_permissions(own.join("a/b"), fs::Permissions::from_mode(0o000)).expect("closed");
        make("a/b").expect("is there");
        make("").expect("nothing to make");
        symlink("../other", own.join("link")).expect("linked");
        fs::write(own.join("file"), "").expect("written");
        for name in ["link", "file", "link/sub"] {
            assert!(make(name).is_err(), "{name}");
        }
    }

    /// A folder of somebody's, beside one that is none of his business.
    fn stage() -> (tempfile::TempDir, PathBuf, Folder) {
        let dir = tempfile::tempdir().expect("tempdir");
        let [other, own] = ["other", "own"].map(|name| dir.path().join(name));
        fs::create_dir_all(other.join("sub")).and_then(|()| fs::create_dir(&own)).expect("made");
        fs::write(other.join("secret"), "x").expect("written");
        let folder = Folder::open(&own).expect("opened");
        (dir, other, folder)
    }

    #[test]
    fn no_link_is_followed_on_the_way() {
        let (_dir, other, folder) = stage();
        symlink(&other, folder.path.join("link")).expect("linked");
        let error = folder.enter(Path::new("link"), 0o700).expect_err("refused");
        assert!(error.to_string().ends_with("own/link"), "{error}");
        let own = Folder::open(&folder.path).expect("opened");
        own.enter_all(Path::new("link/sub"), 0o700).expect_err("refused");
        Folder::open(&folder.path.join("link")).expect_err("refused");
    }

    #[test]
    fn those_on_the_way_may_be_passed_and_the_last_is_as_asked() {
        let (_dir, _, folder) = stage();
        let path = folder.path.clone();
        folder.enter_all(Path::new("a/b/c"), 0o750).expect("made");
        let mode = |name: &str| path.join(name).metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(["a", "a/b", "a/b/c"].map(mode), [0o755, 0o755, 0o750]);
    }

    #[test]
    fn a_file_replaces_what_has_its_name_and_reaches_nothing_else() {
        let (_dir, other, folder) = stage();
        let (secret, conf) = (other.join("secret"), folder.path.join("conf"));
        let put = |text: &str| folder.put(Path::new("conf"), text.as_bytes(), 0o600, None).expect("put");
        let is_own = |text: &str| {
            let kind = conf.symlink_metadata().expect("there").file_type();
            kind.is_file() && fs::read_to_string(&conf).expect("read") == text
        };
        symlink(&secret, &conf).expect("linked");
        symlink(&secret, folder.path.join("conf.tmp")).expect("linked");
        put("x");
        assert!(is_own("x") && fs::read_to_string(&secret).expect("read") == "x");
        // As any who may read it could link it, where the kernel allows that.
        fs::remove_file(&conf).and_then(|()| fs::hard_link(&secret, &conf)).expect("linked");
        put("x");
        assert_ne!(conf.metadata().expect("there").ino(), secret.metadata().expect("there").ino());
        let kept = conf.metadata().expect("there").ino();
        put("x");
        assert_eq!(conf.metadata().expect("there").ino(), kept, "it has the content already");
        assert_eq!(fs::read_dir(&folder.path).expect("list").count(), 1, "nothing temporary is left");
    }

    #[test]
    fn a_tree_is_handed_over_without_what_links_in_it_lead_to() {
        let (_dir, other, folder) = stage();
        if other.metadata().expect("there").uid() != 0 {
            eprintln!("NOT TESTED: only root gives files away");
            return;
        }
        let path = folder.path.clone();
        fs::create_dir(path.join("sub")).expect("made");
        fs::write(path.join("sub/file"), "").expect("written");
        for (target, name) in [(other.clone(), "sub/link"), (other.join("secret"), "sub/secret")] {
            symlink(target, path.join(name)).expect("linked");
        }
        folder.hand_over_tree(Owner { uid: 4711, gid: 4712 }).expect("given");
        let uid = |path: &Path| path.symlink_metadata().expect("there").uid();
        for name in ["", "sub", "sub/file", "sub/link", "sub/secret"] {
            assert_eq!(uid(&path.join(name)), 4711, "{name:?}");
        }
        for name in ["", "sub", "secret"] {
            assert_eq!(uid(&other.join(name)), 0, "{name:?}");
        }
    }
}
