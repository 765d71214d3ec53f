//! Data stays where it was written: who starts elsewhere starts without it.

use std::collections::BTreeMap;

use proto::ids::{InstanceId, NodeName};

/// The instances that give up their place, and with it what they keep there, for one where none has been: under the
/// same name or another. Where there are only fewer, none starts without its data.
pub fn parted(
    before: &BTreeMap<InstanceId, NodeName>,
    after: &BTreeMap<InstanceId, NodeName>,
) -> BTreeMap<InstanceId, NodeName> {
    let is_in = |places: &BTreeMap<InstanceId, NodeName>, id, node| places.get(id) == Some(node);
    if after.iter().all(|(id, node)| is_in(before, id, node)) {
        return BTreeMap::new();
    }
    let leaves = before.iter().filter(|(id, node)| !is_in(after, id, node));
    leaves.map(|(id, node)| (id.clone(), node.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_left_where_an_instance_begins_anew_elsewhere_not_where_there_are_more_or_fewer() {
        let one = [("db/0", "a")];
        let two = [("db/0", "a"), ("db/1", "b")];
        check(&one, &one, &[]);
        check(&one, &two, &[]);
        check(&two, &one, &[]);
        check(&one, &[], &[]);
        check(&[], &two, &[]);
        check(&one, &[("db/0", "b")], &["db/0 on a"]);
        check(&one, &[("db/1", "b")], &["db/0 on a"]);
        check(&two, &[("db/0", "a"), ("db/1", "c")], &["db/1 on b"]);
    }

    fn check(before: &[(&str, &str)], after: &[(&str, &str)], expected: &[&str]) {
        let places = |places: &[(&str, &str)]| -> BTreeMap<InstanceId, NodeName> {
            let place = |(id, node): &(&str, &str)| {
                (InstanceId::parse(id).expect("an id"), NodeName::parse(node).expect("a name"))
            };
            places.iter().map(place).collect()
        };
        let left = parted(&places(before), &places(after));
        let left: Vec<_> = left.iter().map(|(id, node)| format!("{id} on {node}")).collect();
        assert_eq!(left, expected, "{before:?} -> {after:?}");
    }
}
