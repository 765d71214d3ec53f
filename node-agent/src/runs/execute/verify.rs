//! `verify.*`: looks anew at what an earlier step is said to have done.

use std::io::Read;

use plan::policy::path::Access;
use plan::tool::Tool;
use serde_json::{Value, json};

use super::safe_path::{PathError, Place};
use super::{Errand, Outcome, http, service};

/// Of a file that is looked through.
const MOST: u64 = 16 << 20;

pub async fn run(errand: &Errand) -> Outcome {
    match errand.call.tool {
        // Its success predicates are the check; they are decided when it has come back.
        Tool::VerifyOutput => Outcome::Returned(found(true, "the outputs of earlier steps")),
        Tool::VerifyFile => file(errand).await,
        Tool::VerifyService => unit(errand).await,
        _ => page(errand).await,
    }
}

fn found(holds: bool, found: &str) -> Value {
    json!({"holds": holds, "found": found})
}

/// A claim that does not hold is a failure of the step, unless its own predicates say what is to be found.
fn verdict(errand: &Errand, holds: bool, what: &str) -> Outcome {
    match holds || !errand.step.success.is_empty() {
        true => Outcome::Returned(found(holds, what)),
        false => Outcome::Failed(format!("it does not hold: found {what}")),
    }
}

async fn file(errand: &Errand) -> Outcome {
    let own = errand.clone();
    let looked = tokio::task::spawn_blocking(move || look_at_file(&own)).await;
    match looked {
        Ok(Ok((holds, what))) => verdict(errand, holds, what),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(_) => Outcome::Failed("the agent is stopping".to_owned()),
    }
}

fn look_at_file(errand: &Errand) -> Result<(bool, &'static str), PathError> {
    let wanted = errand.flag("exists").unwrap_or(true);
    let place = match Place::find(errand, errand.text("path").unwrap_or_default(), Access::Read) {
        Err(PathError::NotThere { .. }) => return Ok((!wanted, "no such file")),
        place => place?,
    };
    let is_there = place.kind()?.is_some();
    if is_there != wanted || !is_there {
        return Ok((is_there == wanted, if is_there { "it there" } else { "no such file" }));
    }
    let Some(text) = errand.text("contains") else { return Ok((true, "it there")) };
    let mut content = Vec::new();
    place.open_file()?.take(MOST).read_to_end(&mut content).map_err(|cause| place.system(cause))?;
    let holds = String::from_utf8_lossy(&content).contains(text);
    Ok((holds, if holds { "the text in it" } else { "it without the text" }))
}

async fn unit(errand: &Errand) -> Outcome {
    let wanted = errand.flag("active").unwrap_or(true);
    match service::is_active(errand.text("name").unwrap_or_default()).await {
        None => Outcome::Failed("systemd did not say; is it on this node?".to_owned()),
        Some(active) => verdict(errand, active == wanted, if active { "it active" } else { "it not active" }),
    }
}

async fn page(errand: &Errand) -> Outcome {
    let page = match http::fetch(errand).await {
        Ok(page) => page,
        Err(outcome) => return outcome,
    };
    let wanted = errand.number("status").unwrap_or(200);
    if u64::from(page.status) != wanted {
        return verdict(errand, false, &format!("status {}", page.status));
    }
    match errand.text("contains") {
        Some(text) if !page.body.text.contains(text) => verdict(errand, false, "it without the text"),
        _ => verdict(errand, true, &format!("status {wanted}")),
    }
}
