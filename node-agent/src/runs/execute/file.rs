//! `file.*`: reads, lists, writes and deletes files, never through links. All of it happens on a thread of its own, for
//! disks may be slow.

use std::io::Read;

use plan::output::Capped;
use plan::policy::path::Access;
use plan::tool::Tool;
use serde_json::{Value, json};

use super::safe_path::{PathError, Place};
use super::{Errand, Outcome};

mod delete;
mod list;
mod write;

/// How it went wrong: nothing was changed, or not all.
pub enum Trouble {
    Nothing(PathError),
    Partly(String),
}

impl From<PathError> for Trouble {
    fn from(error: PathError) -> Self {
        Trouble::Nothing(error)
    }
}

pub async fn run(errand: &Errand) -> Outcome {
    let own = errand.clone();
    let work = tokio::task::spawn_blocking(move || match own.call.tool {
        Tool::FileList => list::run(&own),
        Tool::FileWrite => write::run(&own),
        Tool::FileDelete => delete::run(&own),
        _ => read(&own),
    });
    match work.await {
        Ok(Ok(out)) => Outcome::Returned(out),
        Ok(Err(Trouble::Nothing(error))) => Outcome::Failed(error.to_string()),
        Ok(Err(Trouble::Partly(why))) => errand.lost(&why),
        Err(_) => errand.lost("the agent is stopping"),
    }
}

fn read(errand: &Errand) -> Result<Value, Trouble> {
    const BLOCK: usize = 64 << 10;
    /// More than anybody reads through a window of one MiB.
    const MOST: u64 = 256 << 20;
    let place = Place::find(errand, errand.text("path").unwrap_or_default(), Access::Read)?;
    let file = place.open_file()?;
    let size_bytes = file.metadata().map_err(|cause| place.system(cause))?.len();
    let mut capped = Capped::new(errand.step.output_cap, errand.redactor.clone());
    let mut block = vec![0; BLOCK];
    let mut taken = 0;
    let mut file = file.take(MOST);
    loop {
        if errand.stop.is_over() {
            return Err(Trouble::Partly("it took longer than its timeout, or was cancelled".to_owned()));
        }
        match file.read(&mut block).map_err(|cause| place.system(cause))? {
            0 => break,
            count => {
                capped.push(&block[..count]);
                taken += count as u64;
            }
        }
    }
    let kept = capped.finish();
    // Files of the kernel have no size before they are read.
    let is_truncated = kept.is_truncated || size_bytes > MOST;
    Ok(json!({"text": kept.text, "size_bytes": size_bytes.max(taken), "truncated": is_truncated}))
}
