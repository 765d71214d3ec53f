//! Why instances run where they run, and what a deploy would change.

use proto::v1::change::Kind;
use proto::v1::deploy_event::Plan;
use proto::v1::explanation::{NodeVerdict, Part};
use proto::v1::{Change, Explanation, Release};

use super::console::{Look, Style};
use super::table::{Cell, Fit, Table};

/// One line per node: its score with the parts, or everything that speaks against it. Best first.
pub fn explanation(explanation: &Explanation, look: &Look, indent: usize) -> String {
    let mut verdicts: Vec<&NodeVerdict> = explanation.nodes.iter().collect();
    verdicts.sort_by(|a, b| {
        (!a.failures.is_empty())
            .cmp(&!b.failures.is_empty())
            .then(b.score.total_cmp(&a.score))
            .then_with(|| a.node.cmp(&b.node))
    });
    let columns = [("NODE", Fit::Keep), ("SCORE", Fit::Keep), ("PLACED", Fit::Cut), ("WHY", Fit::Wrap)];
    let mut table = Table::new(&columns).indented(indent);
    for verdict in verdicts {
        push_verdict(&mut table, verdict, look);
    }
    table.render(look)
}

fn push_verdict(table: &mut Table, verdict: &NodeVerdict, look: &Look) {
    let placed = verdict.instances.join(", ");
    if verdict.failures.is_empty() {
        let style = if placed.is_empty() { Style::Plain } else { Style::Good };
        let parts: Vec<String> = verdict.parts.iter().map(|p| part(p, look)).collect();
        table.row([
            Cell::styled(&verdict.node, style),
            format!("{:.2}", verdict.score).into(),
            placed.into(),
            parts.join(", ").into(),
        ]);
        return;
    }
    for (at, failure) in verdict.failures.iter().enumerate() {
        let (node, score) = if at == 0 { (verdict.node.as_str(), "-") } else { ("", "") };
        table.row([node.into(), score.into(), "".into(), Cell::styled(failure, Style::Bad)]);
    }
}

fn part(part: &Part, look: &Look) -> String {
    let times = if look.has_unicode { "×" } else { "x" };
    format!("{} {:.2} {times} {:.2}", part.name, part.value, part.weight)
}

/// The changes of a dry run, one line per instance.
pub fn plan(plan: &Plan, look: &Look) -> String {
    let release = plan.release.as_ref().map_or_else(String::new, release);
    if plan.changes.is_empty() {
        return format!("{release} as {} would wait: no node can run it now\n", plan.deployment);
    }
    if plan.changes.iter().all(|change| change.kind() == Kind::Keep) {
        return format!("nothing would change: {} runs {release} already\n", plan.deployment);
    }
    let mut table = Table::new(&[
        ("INSTANCE", Fit::Keep),
        ("NODE", Fit::Keep),
        ("CHANGE", Fit::Keep),
        ("FROM", Fit::Cut),
        ("TO", Fit::Cut),
    ]);
    for change in &plan.changes {
        table.row(change_row(change));
    }
    format!("{release} as {} would change:\n{}", plan.deployment, table.render(look))
}

fn change_row(change: &Change) -> [Cell; 5] {
    let (word, style) = kind(change.kind());
    [
        (&change.instance).into(),
        (&change.node).into(),
        Cell::styled(word, style),
        change.from.as_ref().map_or_else(String::new, release).into(),
        change.to.as_ref().map_or_else(String::new, release).into(),
    ]
}

pub fn kind(kind: Kind) -> (&'static str, Style) {
    match kind {
        Kind::Start => ("start", Style::Good),
        Kind::Update => ("update", Style::Good),
        Kind::Stop => ("stop", Style::Warn),
        Kind::Move => ("move", Style::Warn),
        Kind::Keep => ("keep", Style::Dim),
        Kind::Wait => ("wait", Style::Warn),
    }
}

/// `redis@7.2.4 (1a2b3c4d5e6f)`: the digest tells apart packages of one version.
pub fn release(release: &Release) -> String {
    let digest = release.digest.trim_start_matches("sha256:");
    match digest.get(..12) {
        Some(short) => format!("{}@{} ({short})", release.module, release.version),
        None => format!("{}@{}", release.module, release.version),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn sample_release(version: &str, digit: char) -> Release {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        Release { module: "redis".into(), version: version.into(), digest }
    }

    #[test]
    fn the_best_node_comes_first_and_every_failure_is_named() {
        let part = |name: &str, value, weight| Part { name: name.into(), value, weight };
        let nodes = vec![
            NodeVerdict {
                node: "pi".into(),
                failures: vec!["arch: needs x86_64, is aarch64".into(), "label room=attic is missing".into()],
                ..Default::default()
            },
            NodeVerdict {
                node: "cellar".into(),
                score: 0.41,
                parts: vec![part("cpu", 0.3, 2.0), part("memory", 0.5, 1.5)],
                ..Default::default()
            },
            NodeVerdict {
                node: "attic".into(),
                score: 0.875,
                parts: vec![part("cpu", 0.9, 2.0)],
                instances: vec!["redis/0".into()],
                ..Default::default()
            },
        ];
        assert_snapshot!(explanation(&Explanation { nodes }, &Look::default(), 2), @r"
        NODE    SCORE  PLACED   WHY
        attic   0.88   redis/0  cpu 0.90 x 2.00
        cellar  0.41            cpu 0.30 x 2.00, memory 0.50 x 1.50
        pi      -               arch: needs x86_64, is aarch64
                                label room=attic is missing
        ");
    }

    #[test]
    fn a_plan_names_each_instance_with_its_releases() {
        let change = |instance: &str, node: &str, kind: Kind, from, to| Change {
            instance: instance.into(),
            node: node.into(),
            kind: kind.into(),
            from,
            to,
        };
        let (old, new) = (sample_release("7.2.4", 'a'), sample_release("7.4.0", 'b'));
        let mut sample = Plan {
            deployment: "cache".into(),
            release: Some(new.clone()),
            changes: vec![
                change("cache/0", "attic", Kind::Update, Some(old.clone()), Some(new.clone())),
                change("cache/1", "cellar", Kind::Stop, Some(old), None),
                change("cache/2", "", Kind::Wait, None, Some(new.clone())),
            ],
            ..Default::default()
        };
        assert_snapshot!(plan(&sample, &Look::default()), @r"
        redis@7.4.0 (bbbbbbbbbbbb) as cache would change:
        INSTANCE  NODE    CHANGE  FROM                        TO
        cache/0   attic   update  redis@7.2.4 (aaaaaaaaaaaa)  redis@7.4.0 (bbbbbbbbbbbb)
        cache/1   cellar  stop    redis@7.2.4 (aaaaaaaaaaaa)
        cache/2           wait                                redis@7.4.0 (bbbbbbbbbbbb)
        ");
        sample.changes = vec![change("cache/0", "attic", Kind::Keep, Some(new.clone()), Some(new))];
        assert_snapshot!(plan(&sample, &Look::default()), @"nothing would change: cache runs redis@7.4.0 (bbbbbbbbbbbb) already");
    }
}
