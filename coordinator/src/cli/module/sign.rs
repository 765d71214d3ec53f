//! `module key|sign|trust`: signatures of packages, in the files of minisign.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use modules::signature::{PublicKey, SecretKey, Signature, SignatureError};
use proto::code::Code;
use proto::v1;
use proto::v1::trust_request::Change;
use serde::Serialize;

use crate::cli::console::Look;
use crate::cli::deploy::source::Source;
use crate::cli::package::{self, Packed};
use crate::cli::problem::Failure;
use crate::cli::table::{Fit, Table};
use crate::cli::{Context, with_hint};

#[derive(Debug, clap::Subcommand)]
pub enum TrustCommand {
    /// Trusts the key in a minisign .pub file
    #[command(after_help = "Examples:\n  orchestrator module trust add friend.pub")]
    Add {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Lists the trusted keys
    #[command(after_help = "Examples:\n  orchestrator module trust list

`unsigned = \"refuse\"` in config.toml refuses packages that none of them signed.")]
    List,
    /// Trusts a key no longer; what it signed before stays
    #[command(after_help = "Examples:\n  orchestrator module trust remove 4A3B2C1D00112233")]
    Remove {
        #[arg(value_name = "KEY-ID")]
        id: String,
    },
}

impl From<SignatureError> for Failure {
    fn from(error: SignatureError) -> Self {
        with_hint(Failure::new(Code::InvalidInput, &error), error.hint().map(str::to_owned))
    }
}

pub fn key(context: &Context, file: &Path) -> Result<u8, Failure> {
    let key = SecretKey::generate()?;
    let failed = |cause| Failure::io(format!("could not write {}", file.display()), &cause);
    let mut secret =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    secret.write_all(key.to_text().as_bytes()).map_err(failed)?;
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    super::local::write(&public, key.public().to_text().as_bytes())?;
    let shown = Key { id: key.id().to_string(), comment: String::new(), line: key.public().to_line() };
    context.print_or(&shown, |_| format!("{} {}\n", shown.id, public.display()))?;
    Ok(0)
}

pub fn sign(context: &Context, module: &Path, key: &Path) -> Result<u8, Failure> {
    let key = SecretKey::parse(&read(key)?)?;
    let packed = packed(module)?;
    let comment = format!("{}@{} {}", packed.spec.name, packed.spec.version, packed.digest);
    let signature = key.sign(&packed.bytes, &comment)?;
    let place = package::signature_path(module);
    super::local::write(&place, signature.to_text().as_bytes())?;
    let shown = Key { id: key.id().to_string(), comment, line: key.public().to_line() };
    context.print_or(&shown, |_| format!("signed {} in {}\n", shown.comment, place.display()))?;
    Ok(0)
}

/// Whether the package is signed with this key.
pub fn check(packed: &Packed, module: &Path, key: &Path) -> Result<(), Failure> {
    let key = PublicKey::parse(&read(key)?)?;
    let signature = Signature::parse(&read(&package::signature_path(module))?)?;
    signature
        .verify(&key, &packed.bytes)
        .map_err(|error| with_hint(Failure::new(Code::Denied, &error), error.hint().map(str::to_owned)))
}

fn packed(module: &Path) -> Result<Packed, Failure> {
    let text = module.to_str().ok_or_else(|| Failure::invalid("the path is not UTF-8"))?;
    match Source::find(text)? {
        Source::Folder(path) => package::pack(&path),
        Source::Package(path) => package::read(&path),
        Source::Registry(name) => {
            Err(Failure::invalid(format!("{name} is neither a folder with a MODULE.yaml nor a package")))
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|cause| Failure::io(format!("could not read {}", path.display()), &cause))
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    comment: String,
    line: String,
}

pub async fn trust(context: &Context, command: TrustCommand) -> Result<u8, Failure> {
    let change = match command {
        TrustCommand::Add { file } => Some(Change::Add(read(&file)?)),
        TrustCommand::Remove { id } => Some(Change::Remove(id)),
        TrustCommand::List => None,
    };
    let request = context.request(v1::TrustRequest { change });
    let reply = context.connect().await?.trust(request).await?.into_inner();
    let keys: Vec<Key> = reply
        .keys
        .into_iter()
        .map(|v1::trust_reply::Key { id, comment, line }| Key { id, comment, line })
        .collect();
    let policy = if reply.refuses_unsigned { "refused" } else { "taken" };
    context.console.say(&format!("packages that nobody signed are {policy}"));
    context.print_list(&keys, "no key is trusted", |look| table(&keys, look))?;
    Ok(0)
}

fn table(keys: &[Key], look: &Look) -> String {
    let mut table = Table::new(&[("KEY", Fit::Keep), ("COMMENT", Fit::Cut), ("", Fit::Wrap)]);
    for key in keys {
        table.row([(&key.id).into(), (&key.comment).into(), (&key.line).into()]);
    }
    table.render(look)
}
