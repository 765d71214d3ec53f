//! A watch as a story: one line for each look, one letter for each node; a capital answers. `h` is on this machine.

use super::*;

#[test]
fn a_node_is_lost_once_its_lease_is_over_while_another_is_heard() {
    let mut watch = Watch::default();
    assert_eq!(watch.looks("ABH", 10), "");
    assert_eq!(watch.looks("aBH", 4), "", "silent for less than its lease");
    assert_eq!(watch.looks("aBH", 1), "a");
    assert_eq!(watch.looks("ABH", 1), "", "it is back");
}

#[test]
fn who_hears_nobody_elsewhere_calls_nobody_lost() {
    let mut watch = Watch::default();
    watch.looks("ABH", 2);
    assert_eq!(watch.looks("abH", 100), "");
    // One is back; the other has its whole lease from now.
    assert_eq!(watch.looks("AbH", 4), "");
    assert_eq!(watch.looks("AbH", 3), "b");
}

#[test]
fn the_only_node_elsewhere_may_not_be_the_one_that_is_cut_off() {
    let mut watch = Watch::default();
    watch.looks("AH", 2);
    assert_eq!(watch.looks("aH", 100), "");
    let mut desk = Watch::default();
    desk.looks("ABC", 2);
    assert_eq!(desk.looks("abC", 10), "a b", "one that is heard is enough");
    assert_eq!(desk.looks("abc", 1), "", "until it is silent, too");
}

#[test]
fn a_node_on_this_machine_is_lost_by_itself() {
    let mut watch = Watch::default();
    watch.looks("ABH", 2);
    assert_eq!(watch.looks("ABh", 10), "h");
    assert_eq!(watch.looks("h", 10), "h");
}

#[test]
fn after_sleep_or_a_standstill_absences_begin_anew() {
    let hour = Duration::from_secs(3600);
    for asleep in [true, false] {
        let mut watch = Watch::default();
        watch.looks("ABH", 2);
        watch.looks("aBH", 4);
        watch.pause(hour, asleep);
        assert_eq!(watch.lost(), "", "not before the next look");
        assert_eq!(watch.looks("aBH", 5), "");
        assert_eq!(watch.looks("aBH", 3), "a");
    }
}

#[test]
fn what_is_new_is_told_once() {
    let mut absences = Absences::default();
    let mut note = |text: &str, second| {
        absences.note(&looks(text), Moment { awake: Duration::from_secs(second), wall: 0 })
    };
    let names = |text: &str| looks(text).into_keys().collect::<Vec<_>>();
    assert_eq!(note("ABH", 0), News::default());
    assert_eq!(note("abH", 2), News { silent: names("ab"), is_cut_off: true, ..News::default() });
    assert_eq!(note("abH", 4), News::default());
    assert_eq!(note("AbH", 6), News { back: names("a"), ..News::default() });
    assert_eq!(note("H", 8), News::default(), "who has left the fleet is forgotten");
    assert!(absences.since.is_empty());
}

#[derive(Default)]
struct Watch {
    absences: Absences,
    awake: Duration,
    asleep: Duration,
}

impl Watch {
    /// So many looks, two seconds apart; gives who is lost then.
    fn looks(&mut self, text: &str, times: u32) -> String {
        for _ in 0..times {
            self.awake += Duration::from_secs(2);
            self.absences.note(&looks(text), self.now());
        }
        self.lost()
    }

    fn pause(&mut self, time: Duration, asleep: bool) {
        *(if asleep { &mut self.asleep } else { &mut self.awake }) += time;
    }

    fn lost(&self) -> String {
        let lost = self.absences.lost(self.now());
        lost.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" ")
    }

    fn now(&self) -> Moment {
        let wall = i64::try_from((self.awake + self.asleep).as_millis()).expect("a short story");
        Moment { awake: self.awake, wall }
    }
}

fn looks(text: &str) -> BTreeMap<NodeName, Look> {
    let look = |letter: char| {
        let name = NodeName::parse(&letter.to_ascii_lowercase().to_string()).expect("a name");
        let whereabouts = match name.as_str() {
            "h" => Whereabouts::ThisMachine,
            _ => Whereabouts::Elsewhere,
        };
        (name, Look { whereabouts, answers: letter.is_ascii_uppercase() })
    };
    text.chars().map(look).collect()
}
