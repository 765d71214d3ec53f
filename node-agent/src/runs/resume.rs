//! What becomes of runs when the agent starts: those that go on are taken up where their journal ends, those that ended
//! can still be looked at, and one whose journal is damaged is told and left alone.

use std::sync::Arc;

use plan::run::Run;

use crate::log;
use crate::runs::Runs;
use crate::runs::engine::Stall;
use crate::runs::folder::Folder;
use crate::runs::id::RunId;
use crate::runs::live::{About, Live};
use crate::runs::receipts::Receipts;
use crate::runtime::kill::{self, Marked};

impl Runs {
    /// Takes up all runs that are on the disk, and ends what of `marked` nobody waits for. To be called once.
    pub fn start(self: &Arc<Self>, marked: &[Marked]) {
        self.end_strangers(marked);
        for (id, folder) in Folder::all(&self.agent.data) {
            if folder.was_never_begun() {
                // Whoever asked for it was never told that it had begun.
                let _ = folder.remove();
                continue;
            }
            self.take_up(id, folder);
        }
        self.retire();
    }

    fn take_up(self: &Arc<Self>, id: RunId, folder: Folder) {
        let mut about = About::default();
        let (mut told_records, mut told_receipts) = (0, 0);
        match self.look_at(&folder) {
            Ok((run, records, receipts)) => {
                about = About { plan: Some(run.hash), begun_ms: run.begun_ms, ..about };
                about.ending = run.ending;
                (told_records, told_receipts) = (records, receipts);
            }
            Err(stall) if stall.is_damage() => {
                let (live, _) = Live::new(id, folder, about);
                live.give_up(log::chain(&stall));
                self.live().insert(live.id.clone(), Arc::new(live));
                return;
            }
            // The disk may be well again the next time.
            Err(stall) => about.damaged = log::chain(&stall),
        }
        let goes_on = about.ending.is_none();
        let (live, inputs) = Live::new(id, folder, about);
        live.tell(|told| {
            (told.records, told.receipts) = (told_records, told_receipts);
            told.is_over = !goes_on;
        });
        match goes_on {
            true => self.carry_out(live, inputs),
            false => drop(self.live().insert(live.id.clone(), Arc::new(live))),
        }
    }

    fn look_at(&self, folder: &Folder) -> Result<(Run, u64, u64), Stall> {
        let (_, journal, records) = folder.open()?;
        let (receipts, run) = Receipts::open(&folder.receipts(), &records, &self.key)?;
        Ok((run, journal.records(), receipts.written()))
    }

    /// Programs that a killed agent left running: nobody reads what they say any more.
    fn end_strangers(&self, marked: &[Marked]) {
        let token = execute_token(&self.agent.token);
        for Marked { pid, .. } in marked.iter().filter(|process| process.is_below(&token)) {
            tracing::warn!(pid, "ending a program of a step that nobody waits for");
            kill::signal(*pid, libc::SIGKILL);
        }
    }
}

/// With what the marks of programs begin that steps start outside a sandbox; a number makes each of them its own.
pub fn execute_token(token: &str) -> String {
    format!("{token}-step")
}
