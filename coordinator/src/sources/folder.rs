//! A folder of this machine, or one file of it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::wanted::{self, ENTRIES, FILE_BYTES, PROJECT_BYTES, Wanted};
use super::{File, Project, SourceError, name_of, text};

/// Reads the telling files of a folder. Links are not followed: they may lead anywhere.
pub fn read(top: &Path, wanted: &Wanted) -> Result<Project, SourceError> {
    let failed = |cause| SourceError::Read { what: top.display().to_string(), cause };
    let absolute = fs::canonicalize(top).map_err(failed)?;
    let mut paths = Vec::new();
    let mut seen = 0;
    collect(&absolute, "", &mut paths, &mut seen).map_err(failed)?;
    let mut project = Project {
        name: name_of(&absolute.display().to_string()),
        origin: absolute.display().to_string(),
        ..Project::default()
    };
    let chosen = wanted::choose(paths.iter().map(String::as_str), wanted);
    for path in &chosen {
        let (bytes, is_whole) = head(&absolute.join(path))?;
        add(&mut project, path, bytes, is_whole)?;
    }
    if project.files.is_empty() {
        return Err(SourceError::Nothing { what: project.origin });
    }
    Ok(project)
}

/// Reads one file, whatever it is called.
pub fn read_file(path: &Path) -> Result<Project, SourceError> {
    let what = path.display().to_string();
    let (bytes, is_whole) = head(path)?;
    let name = path.file_name().map_or_else(|| what.clone(), |name| name.to_string_lossy().into_owned());
    let origin = fs::canonicalize(path).map_or_else(|_| what.clone(), |path| path.display().to_string());
    let parent = Path::new(&origin).parent().map(|parent| parent.display().to_string());
    one(&name, bytes, is_whole, &origin, &parent.unwrap_or_default())
}

/// A project of one file; it is called like the file, or like its folder where the file has a usual name.
pub fn one(
    name: &str,
    bytes: Vec<u8>,
    is_whole: bool,
    origin: &str,
    parent: &str,
) -> Result<Project, SourceError> {
    if !is_whole {
        return Err(SourceError::TooBig { what: origin.to_owned(), limit: FILE_BYTES });
    }
    let (bytes, encoding) =
        text::decode(bytes).ok_or_else(|| SourceError::Binary { what: origin.to_owned() })?;
    let is_usual = wanted::rank(name).is_some();
    let mut project = Project {
        name: name_of(if is_usual { parent } else { name }),
        origin: origin.to_owned(),
        files: vec![File { path: name.to_owned(), bytes }],
        ..Project::default()
    };
    note_encoding(&mut project, name, encoding);
    Ok(project)
}

/// Takes one file of several into the project: one that is too big or no text is left out, with a word.
pub fn add(project: &mut Project, path: &str, bytes: Vec<u8>, is_whole: bool) -> Result<(), SourceError> {
    let what = format!("{}: {path}", project.origin);
    let is_telling = wanted::rank(path).is_some_and(|rank| rank <= 2);
    if !is_whole {
        if is_telling {
            return Err(SourceError::TooBig { what, limit: FILE_BYTES });
        }
        project.notes.push(format!("{path} has more than {FILE_BYTES} bytes and was not read"));
        return Ok(());
    }
    let total: usize = project.files.iter().map(|file| file.bytes.len()).sum();
    if (total + bytes.len()) as u64 > PROJECT_BYTES {
        project.notes.push(format!("{path} was not read: enough was read already"));
        return Ok(());
    }
    match text::decode(bytes) {
        Some((bytes, encoding)) => {
            project.files.push(File { path: path.to_owned(), bytes });
            note_encoding(project, path, encoding);
        }
        None if is_telling => return Err(SourceError::Binary { what }),
        None => project.notes.push(format!("{path} is not text and was not read")),
    }
    Ok(())
}

fn note_encoding(project: &mut Project, path: &str, encoding: Option<&'static str>) {
    if let Some(encoding) = encoding {
        project.notes.push(format!("{path} is not UTF-8; it was read as {encoding}"));
    }
}

/// As much of a file as is read of any, and whether that is all of it.
fn head(path: &Path) -> Result<(Vec<u8>, bool), SourceError> {
    let failed = |cause| SourceError::Read { what: path.display().to_string(), cause };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let is_whole = bytes.len() as u64 <= FILE_BYTES;
    Ok((bytes, is_whole))
}

fn collect(folder: &Path, below: &str, paths: &mut Vec<String>, seen: &mut usize) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        *seen += 1;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if *seen > ENTRIES {
            return Ok(());
        }
        if kind.is_dir() && path.matches('/').count() < 5 && !path.ends_with(".git") {
            collect(&entry.path(), &path, paths, seen)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}
