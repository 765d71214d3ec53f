//! Who is carrying out a change. A second coordinator leaves it alone while the first still lives,
//! and carries it on when the first has died.

use crate::domain::deployment::Carrier;

/// This process, on a machine called `host`.
pub fn this_process(host: String) -> Carrier {
    let pid = std::process::id();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Carrier { host, boot: boot.trim().to_owned(), pid, started: start_time(pid).unwrap_or_default() }
}

/// Whether the process that began a change still carries it out, as seen by `observer`. Of one on another machine, or
/// before this one was started, only its `presence` in the store can be seen.
pub fn is_at_work(carrier: &Carrier, observer: &Carrier, presence: bool) -> bool {
    if is_beside(carrier, observer) {
        carrier != observer && start_time(carrier.pid) == Some(carrier.started)
    } else {
        presence
    }
}

/// Whether their processes can see each other.
fn is_beside(carrier: &Carrier, observer: &Carrier) -> bool {
    let is_of_an_older_record = carrier.boot.is_empty();
    carrier.host == observer.host && (is_of_an_older_record || carrier.boot == observer.boot)
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
        let observer = Carrier { pid: 1, started: 0, ..here.clone() };
        assert!(is_at_work(&here, &observer, false));
        let reused = Carrier { started: here.started + 1, ..here.clone() };
        assert!(!is_at_work(&reused, &observer, true));
        assert!(!is_at_work(&here, &here, true), "one's own unfinished change is one's own to carry on");
    }

    #[test]
    fn a_process_elsewhere_is_at_work_as_long_as_it_shows() {
        let here = this_process("here".to_owned());
        let there = Carrier { host: "there".to_owned(), pid: 1, started: 1, ..here.clone() };
        assert!(!here.boot.is_empty());
        // A machine of the same name is another one; this process has a number that lives here, too.
        let namesake = Carrier { boot: "another".to_owned(), ..here.clone() };
        for there in [there, namesake] {
            assert!(is_at_work(&there, &here, true));
            assert!(!is_at_work(&there, &here, false));
        }
    }

    #[test]
    fn an_older_record_tells_machines_apart_by_their_names() {
        let here = this_process("here".to_owned());
        let text = format!(r#"{{"host":"here","pid":{},"started":{}}}"#, here.pid, here.started);
        let older: Carrier = serde_json::from_str(&text).expect("it reads");
        let observer = Carrier { pid: 1, started: 0, ..here };
        assert!(is_at_work(&older, &observer, false));
    }
}
