//! The words for states and phases, and how good or bad each of them is.

use proto::v1::deployment::State;
use proto::v1::{Phase, node};

use super::console::Style;

pub fn deployment(state: i32) -> (&'static str, Style) {
    match State::try_from(state).unwrap_or(State::Unspecified) {
        State::Unspecified | State::Unknown => ("unknown", Style::Warn),
        State::Pending => ("pending", Style::Warn),
        State::Starting => ("starting", Style::Warn),
        State::Healthy => ("healthy", Style::Good),
        State::Unhealthy => ("unhealthy", Style::Bad),
        State::Failed => ("failed", Style::Bad),
        State::RolledBack => ("rolled_back", Style::Bad),
        State::Waiting => ("waiting", Style::Warn),
        State::Stopped => ("stopped", Style::Dim),
        State::Lost => ("lost", Style::Bad),
    }
}

pub fn node(state: i32) -> (&'static str, Style) {
    match node::State::try_from(state).unwrap_or(node::State::Unspecified) {
        node::State::Unspecified | node::State::Unknown => ("unknown", Style::Warn),
        node::State::Ready => ("ready", Style::Good),
        node::State::Cordoned => ("cordoned", Style::Warn),
        node::State::Lost => ("lost", Style::Bad),
        node::State::Revoked => ("revoked", Style::Bad),
    }
}

pub fn phase(phase: i32) -> (&'static str, Style) {
    match Phase::try_from(phase).unwrap_or(Phase::Unspecified) {
        Phase::Unspecified => ("unknown", Style::Warn),
        Phase::Waiting => ("waiting for its package", Style::Plain),
        Phase::Installing => ("installing", Style::Plain),
        Phase::Starting => ("starting", Style::Plain),
        Phase::Running => ("healthy", Style::Good),
        Phase::Unhealthy => ("unhealthy", Style::Bad),
        Phase::Backoff => ("crashed, starts again soon", Style::Warn),
        Phase::Stopping => ("stopping", Style::Plain),
        Phase::Failed => ("failed", Style::Bad),
        Phase::RolledBack => ("rolled back", Style::Bad),
    }
}
