//! What an import made: a module that can be packed, or the reason why there is none.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use modules::import::fill::{Fill, Gap, gaps};
use modules::import::{self, Confidence, Files, ImportError, Origin, Source, Trace, Verdict, Warning};
use modules::name::ModuleName;
use modules::spec::ModuleSpec;
use modules::unpack::MANIFEST;
use proto::code::Code;
use tempfile::TempDir;

use super::check_new;
use crate::cli::package::{self, Packed};
use crate::cli::problem::Failure;
use crate::sources::{About, Project};

pub struct Made {
    /// Absent where there is nothing to deploy.
    pub module: Option<Module>,
    pub nothing: Option<Nothing>,
    pub origin: String,
    pub commit: Option<String>,
    /// Of 100: how much of it is written so in the project.
    pub confidence: u32,
    /// Nobody wrote it as a module.
    pub is_draft: bool,
    pub provenance: Vec<Trace>,
    pub warnings: Vec<Warning>,
    pub notes: Vec<String>,
    /// The README that a draft was made of, and its text.
    pub readme: Option<(String, String)>,
}

pub struct Nothing {
    pub reason: &'static str,
    pub sentence: String,
}

/// A module with its files.
pub struct Module {
    pub spec: ModuleSpec,
    pub yaml: String,
    content: Content,
}

enum Content {
    /// Beside the MODULE.yaml.
    Files(BTreeMap<String, Vec<u8>>),
    /// As it is; the folder goes with us.
    Kept {
        package: PathBuf,
        _folder: TempDir,
    },
    Package(PathBuf),
}

impl Made {
    /// Drafts a module of a project's files.
    pub fn of_project(project: Project, name: Option<&str>) -> Result<Self, Failure> {
        let mut files = Files::default();
        for file in &project.files {
            files.insert(file.path.clone(), file.bytes.clone());
        }
        let source = source(&project);
        let imported = import::import(&files, &source).map_err(|error| unreadable(&error))?;
        let mut made = Self::without_module(&project);
        made.readme = files.readme_text().map(|(path, text)| (path.to_owned(), text));
        made.provenance = imported.provenance;
        made.warnings = imported.warnings;
        match imported.verdict {
            Verdict::NotDeployable { reason, sentence } => {
                made.nothing = Some(Nothing { reason: reason.as_str(), sentence });
            }
            Verdict::Deployable(draft) => {
                let (mut spec, mut yaml) = (draft.spec, draft.yaml);
                if fill(&mut spec, &project.about, &mut made.provenance) | rename(&mut spec, name)? {
                    yaml = spec.to_yaml();
                }
                made.module = Some(Module { spec, yaml, content: Content::Files(draft.files) });
            }
        }
        made.confidence = confidence(&made.provenance);
        Ok(made)
    }

    /// A module that is one already.
    pub fn of_folder(project: Project, folder: &Path) -> Result<Self, Failure> {
        let packed = package::pack(folder)?;
        // Packed now: the folder may be gone soon.
        let kept =
            tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
        let package = kept.path().join("package.tar.gz");
        fs::write(&package, &packed.bytes)
            .map_err(|cause| Failure::io("could not write the package", &cause))?;
        let mut made = Self::without_module(&project);
        made.is_draft = false;
        let yaml = packed.spec.to_yaml();
        made.module =
            Some(Module { spec: packed.spec, yaml, content: Content::Kept { package, _folder: kept } });
        Ok(made)
    }

    pub fn of_package(path: &Path) -> Result<Self, Failure> {
        let packed = package::read(path)?;
        let origin = path.display().to_string();
        let mut made = Self::without_module(&Project { origin, ..Project::default() });
        made.is_draft = false;
        let yaml = packed.spec.to_yaml();
        made.module = Some(Module { spec: packed.spec, yaml, content: Content::Package(path.to_owned()) });
        Ok(made)
    }

    /// A MODULE.yaml alone.
    pub fn of_manifest(project: Project) -> Result<Self, Failure> {
        let bytes = project.files.first().map(|file| file.bytes.as_slice()).unwrap_or_default();
        let spec = ModuleSpec::parse_bytes(&project.origin, bytes)
            .map_err(|mistakes| Failure::from(modules::package::PackageError::from(mistakes)))?;
        let mut made = Self::without_module(&project);
        made.is_draft = false;
        let yaml = String::from_utf8_lossy(bytes).into_owned();
        made.module = Some(Module { spec, yaml, content: Content::Files(BTreeMap::new()) });
        Ok(made)
    }

    fn without_module(project: &Project) -> Self {
        Self {
            module: None,
            nothing: None,
            origin: project.origin.clone(),
            commit: project.commit.clone(),
            confidence: 100,
            is_draft: true,
            provenance: Vec::new(),
            warnings: Vec::new(),
            notes: project.notes.clone(),
            readme: None,
        }
    }

    /// What the draft lacks and its README may tell.
    pub fn gaps(&self) -> Vec<Gap> {
        self.module.as_ref().filter(|_| self.is_draft).map_or_else(Vec::new, |module| gaps(&module.spec))
    }

    /// Puts in what a model found in the README, as far as it holds; how much that was.
    pub fn fill(&mut self, fills: &[Fill]) -> usize {
        let (Some(module), Some((path, text))) = (&mut self.module, &self.readme) else { return 0 };
        let (traces, warnings) = import::fill::fill(&mut module.spec, path, text, fills);
        module.yaml = module.spec.to_yaml();
        // What was to be looked at because it was missing is there now.
        self.warnings.retain(|warning| traces.iter().all(|trace| trace.field != warning.field));
        self.warnings.extend(warnings);
        let count = traces.len();
        self.provenance.extend(traces);
        self.confidence = confidence(&self.provenance);
        count
    }
}

fn source(project: &Project) -> Source {
    let mut source = Source::of_url(&project.origin);
    if !project.origin.contains("://") {
        source = Source { name: project.name.clone(), ..Source::default() };
    }
    if source.name.is_empty() {
        source.name.clone_from(&project.name);
    }
    source
}

fn unreadable(error: &ImportError) -> Failure {
    Failure::new(Code::InvalidInput, error)
}

fn rename(spec: &mut ModuleSpec, name: Option<&str>) -> Result<bool, Failure> {
    let Some(name) = name else { return Ok(false) };
    spec.name = ModuleName::parse(name).map_err(|error| Failure::new(Code::InvalidInput, &error))?;
    Ok(true)
}

/// What the files do not say, the host may know.
fn fill(spec: &mut ModuleSpec, about: &About, provenance: &mut Vec<Trace>) -> bool {
    let mut told = |field: &str, value: &str| {
        let origin = Origin { file: "the repository's page".to_owned(), line: 0 };
        let trace =
            Trace { field: field.to_owned(), value: value.to_owned(), origin, confidence: Confidence::Read };
        provenance.push(trace);
    };
    let mut is_filled = false;
    let short = |text: &String| text.chars().filter(|c| !c.is_control()).take(400).collect::<String>();
    if let Some(description) = about.description.as_ref().filter(|_| spec.description.is_empty()) {
        spec.description = short(description);
        told("description", &spec.description);
        is_filled = true;
    }
    if spec.license.is_none() && about.license.is_some() {
        spec.license.clone_from(&about.license);
        told("license", about.license.as_deref().unwrap_or_default());
        is_filled = true;
    }
    let is_address = |text: &&String| text.starts_with("https://") || text.starts_with("http://");
    if let Some(homepage) = about.homepage.as_ref().filter(is_address).filter(|_| spec.homepage.is_none()) {
        spec.homepage = Some(short(homepage));
        told("homepage", homepage);
        is_filled = true;
    }
    if spec.tags.is_empty() && !about.topics.is_empty() {
        spec.tags = about.topics.iter().take(8).map(short).collect();
        told("tags", &spec.tags.join(", "));
        is_filled = true;
    }
    is_filled
}

/// How much of the module is written so in the project; what was assumed counts little.
fn confidence(provenance: &[Trace]) -> u32 {
    let worth = |trace: &Trace| match trace.confidence {
        Confidence::Read => 100,
        Confidence::Inferred => 70,
        Confidence::Filled => 50,
        Confidence::Assumed => 25,
    };
    let sum: u32 = provenance.iter().map(worth).sum();
    u32::try_from(provenance.len()).ok().filter(|count| *count > 0).map_or(0, |count| sum / count)
}

impl Module {
    /// The package's bytes.
    pub fn pack(&self) -> Result<Packed, Failure> {
        match &self.content {
            Content::Kept { package: path, .. } | Content::Package(path) => package::read(path),
            Content::Files(files) => {
                let folder = tempfile::tempdir();
                let folder =
                    folder.map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
                self.write(folder.path(), files)?;
                package::pack(folder.path())
            }
        }
    }

    /// Writes the module's folder, which must be new.
    pub fn write_to_new(&self, folder: &Path) -> Result<(), Failure> {
        check_new(folder)?;
        match &self.content {
            Content::Files(files) => self.write(folder, files),
            Content::Kept { package: path, .. } | Content::Package(path) => unpack(path, folder),
        }
    }

    fn write(&self, folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
        put(&folder.join(MANIFEST), self.yaml.as_bytes())?;
        files.iter().try_for_each(|(path, bytes)| {
            let is_below = |part: &str| !matches!(part, "" | "." | "..");
            match path.split('/').all(is_below) {
                true => put(&folder.join(path), bytes),
                false => Err(Failure::invalid(format!("{path:?} is no path of a package"))),
            }
        })
    }
}

fn put(place: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |cause| Failure::io(format!("could not write {}", place.display()), &cause);
    fs::create_dir_all(place.parent().expect("below the folder")).map_err(failed)?;
    fs::write(place, bytes).map_err(failed)?;
    let mode = if bytes.starts_with(b"#!") { 0o755 } else { 0o644 };
    fs::set_permissions(place, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// Unpacks a package that was verified before.
fn unpack(package: &Path, folder: &Path) -> Result<(), Failure> {
    let failed = |cause| Failure::io(format!("could not write {}", folder.display()), &cause);
    fs::create_dir_all(folder).map_err(failed)?;
    let file = fs::File::open(package).map_err(failed)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    archive.set_overwrite(false);
    archive.unpack(folder).map_err(failed)
}
