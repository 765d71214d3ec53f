//! `secret set|list|remove`. Values come from stdin or a hidden prompt and are never shown again.

use std::io::{IsTerminal, Read};

use proto::v1;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;

use super::Context;
use super::interrupt::Interrupt;
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::{ago, rfc3339};
use crate::cli::console::Look;
use crate::clock::UnixMillis;

#[derive(Debug, clap::Subcommand)]
pub enum SecretCommand {
    /// Stores a secret; its value is read from stdin or asked for
    #[command(after_help = "Examples:
  orchestrator secret set mqtt-password
  pass show mqtt | orchestrator secret set mqtt-password")]
    Set { name: String },
    /// Lists the names of the secrets, never their values
    #[command(after_help = "Examples:\n  orchestrator secret list")]
    List,
    /// Deletes a secret
    #[command(after_help = "Examples:\n  orchestrator secret remove mqtt-password")]
    Remove { name: String },
}

pub async fn run(context: &Context, command: SecretCommand) -> Result<u8, Failure> {
    match command {
        SecretCommand::Set { name } => {
            let value = read_value(&name).await?;
            let request = v1::SetSecretRequest { name: name.clone(), value };
            let reply = context.connect().await?.set_secret(context.request(request)).await?.into_inner();
            context.console.say(&format!("stored {name}, version {}", reply.version));
        }
        SecretCommand::List => {
            let request = context.request(v1::ListSecretsRequest {});
            let secrets = context.connect().await?.list_secrets(request).await?.into_inner().secrets;
            let shapes: Vec<Shown<'_>> = secrets.iter().map(Into::into).collect();
            context.print_list(&shapes, "no secrets", |look| list(&secrets, look, context.now()))?;
        }
        SecretCommand::Remove { name } => {
            let request = v1::RemoveSecretRequest { name: name.clone() };
            context.connect().await?.remove_secret(context.request(request)).await?;
            context.console.say(&format!("removed {name}"));
        }
    }
    Ok(0)
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: u64,
    updated: Option<String>,
    used_by: &'a [String],
}

impl<'a> From<&'a v1::list_secrets_reply::Secret> for Shown<'a> {
    fn from(secret: &'a v1::list_secrets_reply::Secret) -> Self {
        Self {
            name: &secret.name,
            version: secret.version,
            updated: rfc3339(secret.updated_unix_ms),
            used_by: &secret.used_by,
        }
    }
}

fn list(secrets: &[v1::list_secrets_reply::Secret], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("NAME", Fit::Keep),
        ("VERSION", Fit::Keep),
        ("UPDATED", Fit::Keep),
        ("USED BY", Fit::Wrap),
    ]);
    for secret in secrets {
        table.row([
            Cell::from(&secret.name),
            secret.version.to_string().into(),
            ago(secret.updated_unix_ms, now).into(),
            secret.used_by.join(", ").into(),
        ]);
    }
    table.render(look)
}

/// The value of a secret: all of stdin, or one hidden line where stdin is a terminal.
pub async fn read_value(name: &str) -> Result<Vec<u8>, Failure> {
    if std::io::stdin().is_terminal() {
        return prompt(name).await;
    }
    let mut value = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut value)
        .map_err(|cause| Failure::io(format!("could not read the value of {name} from stdin"), &cause))?;
    let value = without_line_end(value);
    if value.is_empty() { Err(Failure::invalid(format!("the value of {name} is empty"))) } else { Ok(value) }
}

/// `echo` and editors end a line; the secret does not.
pub fn without_line_end(mut value: Vec<u8>) -> Vec<u8> {
    if value.ends_with(b"\n") {
        value.pop();
    }
    if value.ends_with(b"\r") {
        value.pop();
    }
    value
}

async fn prompt(name: &str) -> Result<Vec<u8>, Failure> {
    let interrupt = Interrupt::listen();
    let hidden = Hidden::start().map_err(|cause| Failure::io("could not hide what is typed", &cause))?;
    eprint!("value of {name} (not shown): ");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line.expect("reading a line does not panic"),
        () = interrupt.pressed() => {
            drop(hidden);
            eprintln!();
            // The reader still waits for a line, and would keep the process with it.
            std::process::exit(i32::from(super::problem::INTERRUPTED));
        }
    };
    drop(hidden);
    eprintln!();
    let value = line.map_err(|cause| Failure::io("could not read from the terminal", &cause))?;
    let value = without_line_end(value.into_bytes());
    if value.is_empty() { Err(Failure::invalid(format!("the value of {name} is empty"))) } else { Ok(value) }
}

/// A terminal that does not echo, until dropped.
struct Hidden {
    before: rustix::termios::Termios,
}

impl Hidden {
    fn start() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut without_echo = before.clone();
        without_echo.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &without_echo)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_the_value() {
        for (given, value) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(without_line_end(given.into()), value.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn names_are_listed_and_who_uses_them() {
        let secret = v1::list_secrets_reply::Secret {
            name: "mqtt-password".into(),
            version: 2,
            updated_unix_ms: 1_000,
            used_by: vec!["mosquitto".into(), "zigbee".into()],
        };
        insta::assert_snapshot!(list(&[secret], &Look::default(), 7_201_000), @r"
        NAME           VERSION  UPDATED  USED BY
        mqtt-password  2        2h ago   mosquitto, zigbee
        ");
    }
}
