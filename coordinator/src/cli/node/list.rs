//! `node list` and `node show`.

use proto::code::Code;
use proto::v1::{ListNodesRequest, Node, NodeFacts};

use crate::cli::console::{Look, Style};
use crate::cli::problem::{Failure, Problem};
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::units::{ago, bytes, span};
use crate::cli::{Context, json, state};
use crate::clock::UnixMillis;

pub async fn run(context: &Context) -> Result<u8, Failure> {
    let nodes = fetch(context, String::new()).await?;
    let shapes: Vec<json::Node<'_>> = nodes.iter().map(Into::into).collect();
    let nothing = "no nodes yet; add one with `orchestrator node add NAME --ssh [USER@]HOST`";
    context.print_list(&shapes, nothing, |look| table(&nodes, look))?;
    Ok(0)
}

pub async fn show(context: &Context, name: String) -> Result<u8, Failure> {
    let nodes = fetch(context, name.clone()).await?;
    let Some(node) = nodes.first() else {
        return Err(Failure::from(Problem::new(Code::NotFound, format!("there is no node {name}")))
            .with_hint("`orchestrator node list` shows those there are"));
    };
    context.print_or(&json::Node::from(node), |look| detail(node, look, context.now()))?;
    Ok(0)
}

async fn fetch(context: &Context, name: String) -> Result<Vec<Node>, Failure> {
    let request = context.request(ListNodesRequest { name });
    Ok(context.connect().await?.list_nodes(request).await?.into_inner().nodes)
}

fn table(nodes: &[Node], look: &Look) -> String {
    let mut table = Table::new(&[
        ("NODE", Fit::Keep),
        ("STATE", Fit::Keep),
        ("ADDRESS", Fit::Cut),
        ("ARCH", Fit::Keep),
        ("CPU BUSY", Fit::Keep),
        ("MEMORY FREE", Fit::Keep),
        ("DISK FREE", Fit::Keep),
        ("INSTANCES", Fit::Keep),
        ("LABELS", Fit::Cut),
        ("MESSAGE", Fit::Wrap),
    ]);
    for node in nodes {
        table.row(row(node));
    }
    table.render(look)
}

fn row(node: &Node) -> [Cell; 10] {
    let facts = node.facts.clone().unwrap_or_default();
    let load = node.load.as_ref();
    let (word, style) = state::node(node.state);
    [
        Cell::styled(&node.name, Style::Bold),
        Cell::styled(word, style),
        (&node.address).into(),
        (&facts.arch).into(),
        cpu(node, &facts).into(),
        load.map_or_else(String::new, |l| {
            format!("{} of {}", bytes(l.memory_available_bytes), bytes(facts.memory_bytes))
        })
        .into(),
        load.map_or_else(String::new, |l| bytes(l.disk_free_bytes)).into(),
        node.instances.to_string().into(),
        labels(node).into(),
        (&node.message).into(),
    ]
}

/// `0.3 of 4`: busy cores of all.
fn cpu(node: &Node, facts: &NodeFacts) -> String {
    match &node.load {
        Some(load) => format!("{:.1} of {}", load.cpu_busy_cores, facts.cpu_cores),
        None => String::new(),
    }
}

fn labels(node: &Node) -> String {
    let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.join(",")
}

fn detail(node: &Node, look: &Look, now: UnixMillis) -> String {
    let facts = node.facts.clone().unwrap_or_default();
    let load = node.load.as_ref();
    let (word, style) = state::node(node.state);
    let seen = match (node.seen_unix_ms, load) {
        (1.., _) => ago(node.seen_unix_ms, now),
        (_, Some(_)) => "just now".into(),
        (_, None) => String::new(),
    };
    let through = if node.tunnelled { " (through SSH)" } else { "" };
    let rows: [(&str, Cell); 15] = [
        ("node", Cell::styled(&node.name, Style::Bold)),
        ("state", Cell::styled(word, style)),
        ("message", (&node.message).into()),
        ("last seen", seen.into()),
        ("agent", format!("{} at {}{through}", facts.agent_version, node.address).into()),
        ("ssh", (&node.ssh).into()),
        ("certificate", certificate(node, now)),
        ("system", system(&facts).into()),
        ("host name", (&facts.hostname).into()),
        ("cpu busy", cpu(node, &facts).into()),
        (
            "memory",
            load.map_or_else(String::new, |l| free(l.memory_available_bytes, facts.memory_bytes)).into(),
        ),
        ("disk", load.map_or_else(String::new, |l| free(l.disk_free_bytes, facts.disk_bytes)).into()),
        ("labels", labels(node).into()),
        ("capabilities", facts.capabilities.join(", ").into()),
        ("instances", node.instances.to_string().into()),
    ];
    let mut table = Table::new(&[("", Fit::Keep), ("", Fit::Wrap)]);
    for (name, value) in rows {
        table.row_unless_empty(name, value);
    }
    table.render(look)
}

fn system(facts: &NodeFacts) -> String {
    let known = [&facts.os, &facts.arch, &facts.kernel].into_iter().filter(|fact| !fact.is_empty());
    known.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn free(free: u64, total: u64) -> String {
    format!("{} free of {}", bytes(free), bytes(total))
}

fn certificate(node: &Node, now: UnixMillis) -> Cell {
    let seconds = node.certificate_expires_unix - now / 1_000;
    match (node.certificate_expires_unix, seconds) {
        (0, _) => "".into(),
        (_, ..=0) => Cell::styled("expired; renewed at the next contact", Style::Bad),
        _ => format!("valid for {}", span(seconds)).into(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proto::v1::NodeLoad;
    use proto::v1::node::State;

    use super::*;

    fn sample() -> [Node; 2] {
        let facts = NodeFacts {
            arch: "aarch64".into(),
            os: "Debian GNU/Linux 12".into(),
            kernel: "6.6.31".into(),
            cpu_cores: 4.0,
            memory_bytes: 4 << 30,
            disk_bytes: 29 << 30,
            capabilities: vec!["apt".into(), "gpio".into()],
            hostname: "raspberrypi".into(),
            agent_version: "0.1.0".into(),
            ..Default::default()
        };
        let load = NodeLoad {
            cpu_busy_cores: 0.34,
            load1: 0.5,
            memory_available_bytes: 3 << 30,
            disk_free_bytes: 20 << 30,
            ..Default::default()
        };
        let attic = Node {
            name: "attic".into(),
            address: "10.0.0.7:7644".into(),
            state: State::Ready.into(),
            labels: [("room".into(), "attic".into())].into(),
            facts: Some(facts.clone()),
            load: Some(load),
            instances: 2,
            ssh: "pi@attic".into(),
            seen_unix_ms: 86_400_000_000,
            certificate_expires_unix: 86_400_000 + 86_400 * 60,
            ..Default::default()
        };
        let lost = Node {
            name: "cellar".into(),
            address: "10.0.0.8:7644".into(),
            state: State::Lost.into(),
            facts: Some(facts),
            message: "not reached for 3m: connection refused".into(),
            ..Default::default()
        };
        [attic, lost]
    }

    #[test]
    fn a_node_that_is_not_reached_shows_no_load_but_the_reason() {
        assert_snapshot!(table(&sample(), &Look::default()), @r"
        NODE    STATE  ADDRESS        ARCH     CPU BUSY  MEMORY FREE         DISK FREE  INSTANCES  LABELS      MESSAGE
        attic   ready  10.0.0.7:7644  aarch64  0.3 of 4  3.0 GiB of 4.0 GiB  20.0 GiB   2          room=attic
        cellar  lost   10.0.0.8:7644  aarch64                                           0                      not reached for 3m: connection refused
        ");
    }

    #[test]
    fn one_node_shows_all_that_is_known() {
        assert_snapshot!(detail(&sample()[0], &Look::default(), 86_400_005_000), @r"
        node          attic
        state         ready
        last seen     5s ago
        agent         0.1.0 at 10.0.0.7:7644
        ssh           pi@attic
        certificate   valid for 59d
        system        Debian GNU/Linux 12, aarch64, 6.6.31
        host name     raspberrypi
        cpu busy      0.3 of 4
        memory        3.0 GiB free of 4.0 GiB
        disk          20.0 GiB free of 29.0 GiB
        labels        room=attic
        capabilities  apt, gpio
        instances     2
        ");
    }

    #[test]
    fn json_has_the_promised_shape() {
        let nodes = sample();
        let shapes: Vec<json::Node<'_>> = nodes.iter().map(Into::into).collect();
        assert_snapshot!(serde_json::to_string_pretty(&shapes).expect("JSON"), @r#"
        [
          {
            "name": "attic",
            "address": "10.0.0.7:7644",
            "arch": "aarch64",
            "state": "ready",
            "labels": {
              "room": "attic"
            },
            "capabilities": [
              "apt",
              "gpio"
            ],
            "cpu": 4.0,
            "memory_bytes": 4294967296,
            "disk_free_bytes": 21474836480,
            "load": 0.5,
            "instances": 2,
            "agent_version": "0.1.0"
          },
          {
            "name": "cellar",
            "address": "10.0.0.8:7644",
            "arch": "aarch64",
            "state": "lost",
            "labels": {},
            "capabilities": [
              "apt",
              "gpio"
            ],
            "cpu": 4.0,
            "memory_bytes": 4294967296,
            "disk_free_bytes": null,
            "load": null,
            "instances": 0,
            "agent_version": "0.1.0",
            "message": "not reached for 3m: connection refused"
          }
        ]
        "#);
    }
}
