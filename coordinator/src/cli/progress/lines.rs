//! Progress as plain lines, for pipes and logs: one line for each thing that changed.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::InstanceReport;
use proto::v1::deploy_event::{Event, Transfer};

use crate::cli::console::printable;
use crate::cli::state;
use crate::cli::units::bytes;

#[derive(Debug, Default)]
pub struct Lines {
    sending: BTreeSet<String>,
    /// What was last said of an instance.
    said: BTreeMap<String, String>,
}

impl Lines {
    /// The line for an event, unless it tells nothing new.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Note(note) => Some(printable(&note.text)),
            Event::Transfer(transfer) => self.transfer(transfer),
            Event::Instance(change) => {
                let report = change.report.as_ref()?;
                let line = format!("{}: {} {}", change.node, report.id, phase(report));
                let is_new = self.said.insert(report.id.clone(), line.clone()).as_ref() != Some(&line);
                is_new.then_some(line)
            }
            Event::Plan(_) | Event::Finished(_) => None,
        }
    }

    fn transfer(&mut self, transfer: &Transfer) -> Option<String> {
        let Transfer { node, sent_bytes, total_bytes } = transfer;
        if *total_bytes == 0 {
            return None;
        }
        let is_first = self.sending.insert(node.clone());
        if sent_bytes >= total_bytes {
            self.sending.remove(node);
            return Some(format!("{node}: received {}", bytes(*total_bytes)));
        }
        is_first.then(|| format!("{node}: sending {}", bytes(*total_bytes)))
    }
}

/// `failed: exited with status 1`.
pub fn phase(report: &InstanceReport) -> String {
    let (word, _) = state::phase(report.phase);
    if report.message.is_empty() || report.message == word {
        word.to_owned()
    } else {
        format!("{word}: {}", printable(&report.message))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proto::v1::Phase;
    use proto::v1::deploy_event::{InstanceChange, Note};

    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let transfer = |sent_bytes, total_bytes| {
            Event::Transfer(Transfer { node: "attic".into(), sent_bytes, total_bytes })
        };
        let instance = |phase: Phase, message: &str| {
            let report = InstanceReport {
                id: "web/0".into(),
                phase: phase.into(),
                message: message.into(),
                ..Default::default()
            };
            Event::Instance(InstanceChange { node: "attic".into(), report: Some(report) })
        };
        let mut lines = Lines::default();
        let told: Vec<String> = [
            Event::Note(Note { text: "enrolled this machine as node local".into() }),
            transfer(0, 0),
            transfer(0, 5 << 20),
            transfer(1 << 20, 5 << 20),
            transfer(5 << 20, 5 << 20),
            instance(Phase::Starting, ""),
            instance(Phase::Starting, ""),
            instance(Phase::Running, ""),
            instance(Phase::Failed, "exited with status 1"),
        ]
        .iter()
        .filter_map(|event| lines.line(event))
        .collect();
        assert_snapshot!(told.join("\n"), @r"
        enrolled this machine as node local
        attic: sending 5.0 MiB
        attic: received 5.0 MiB
        attic: web/0 starting
        attic: web/0 healthy
        attic: web/0 failed: exited with status 1
        ");
    }
}
