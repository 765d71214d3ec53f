//! Progress on a terminal: one line per node, first a bar for the upload, then what its instances do.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::v1::InstanceReport;
use proto::v1::deploy_event::{Event, Transfer};

use super::lines;
use crate::cli::console::{Look, printable};
use crate::cli::state;

pub struct Bars {
    look: Look,
    all: MultiProgress,
    nodes: BTreeMap<String, NodeLine>,
}

struct NodeLine {
    bar: ProgressBar,
    instances: BTreeMap<String, String>,
}

const REDRAWS_PER_SECOND: u8 = 15;

impl Bars {
    pub fn new(look: Look) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
        Self { look, all, nodes: BTreeMap::new() }
    }

    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Note(note) => {
                let _ = self.all.println(printable(&note.text));
            }
            Event::Transfer(transfer) if transfer.total_bytes > 0 => self.transfer(transfer),
            Event::Instance(change) => {
                if let Some(report) = &change.report {
                    self.instance(&change.node, report);
                }
            }
            Event::Finished(_) => self.clear(),
            Event::Transfer(_) | Event::Plan(_) => {}
        }
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let style = self.upload_style();
        let line = self.node(&transfer.node);
        if line.bar.length() != Some(transfer.total_bytes) {
            line.bar.set_length(transfer.total_bytes);
            line.bar.set_style(style);
        }
        line.bar.set_position(transfer.sent_bytes);
    }

    fn instance(&mut self, node: &str, report: &InstanceReport) {
        let look = self.look;
        let style = self.phase_style();
        let line = self.node(node);
        let (_, mood) = state::phase(report.phase);
        line.instances.insert(report.id.clone(), look.paint(mood, &lines::phase(report)));
        let words: Vec<String> = line.instances.iter().map(|(id, phase)| format!("{id} {phase}")).collect();
        line.bar.set_style(style);
        line.bar.set_message(words.join(", "));
    }

    fn node(&mut self, node: &str) -> &mut NodeLine {
        let style = self.phase_style();
        let all = &self.all;
        self.nodes.entry(node.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0).with_style(style).with_prefix(node.to_owned()));
            bar.enable_steady_tick(Duration::from_millis(100));
            NodeLine { bar, instances: BTreeMap::new() }
        })
    }

    fn upload_style(&self) -> ProgressStyle {
        let chars = if self.look.has_unicode { "━╸─" } else { "=> " };
        ProgressStyle::with_template("{prefix:<16} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}")
            .expect("the template is ours")
            .progress_chars(chars)
    }

    fn phase_style(&self) -> ProgressStyle {
        let ticks = if self.look.has_unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "-\\|/ " };
        ProgressStyle::with_template("{prefix:<16} {spinner} {wide_msg}")
            .expect("the template is ours")
            .tick_chars(ticks)
    }

    /// The verdict that follows says it all; nothing half-drawn stays on the screen.
    fn clear(&self) {
        for line in self.nodes.values() {
            line.bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}
