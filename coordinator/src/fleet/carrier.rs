//! Who is carrying out a change. A second coordinator leaves it alone while the first still lives,
//! and carries it on when the first has died.

use crate::clock::UnixMillis;
use crate::domain::deployment::Carrier;

/// A coordinator on another machine cannot be looked at; its change is taken over after this long.
const PATIENCE_MS: UnixMillis = 180_000;

/// This process, on a machine called `host`.
pub fn this_process(host: String) -> Carrier {
    let pid = std::process::id();
    Carrier { host, pid, started: start_time(pid).unwrap_or_default() }
}

/// Whether the change that `carrier` began at `since` is still being carried out, as seen by `observer` at `now`.
pub fn is_at_work(carrier: &Carrier, observer: &Carrier, since: UnixMillis, now: UnixMillis) -> bool {
    if carrier.host == observer.host {
        carrier != observer && start_time(carrier.pid) == Some(carrier.started)
    } else {
        now.saturating_sub(since) < PATIENCE_MS
    }
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses and may itself hold blanks and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_is_not_at_work_and_its_number_reused_is_another() {
        let here = this_process("here".to_owned());
        let observer = Carrier { pid: 1, started: 0, host: "here".to_owned() };
        assert!(is_at_work(&here, &observer, 0, i64::MAX));
        let reused = Carrier { started: here.started + 1, ..here.clone() };
        assert!(!is_at_work(&reused, &observer, 0, 0));
        assert!(!is_at_work(&here, &here, 0, 0), "one's own unfinished change is one's own to carry on");
    }

    #[test]
    fn a_process_elsewhere_is_trusted_for_a_while() {
        let there = Carrier { host: "there".to_owned(), pid: 1, started: 1 };
        let here = this_process("here".to_owned());
        assert!(is_at_work(&there, &here, 0, PATIENCE_MS - 1));
        assert!(!is_at_work(&there, &here, 0, PATIENCE_MS));
    }
}
