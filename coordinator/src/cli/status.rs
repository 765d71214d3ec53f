//! `status [deployment]`: what runs where, since when, and why there.

use std::time::Duration;

use proto::v1::deployment::{Instance, State};
use proto::v1::{Deployment, StatusRequest};

use super::console::{Format, Look, Style};
use super::interrupt::Interrupt;
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::{ago, bytes};
use super::{Context, explain, json, state, units};
use crate::clock::UnixMillis;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator status
  orchestrator status hello-web          # its instances, and why they run where they run
  orchestrator status --watch
  orchestrator status -o json | jq '.[].state'")]
pub struct StatusArgs {
    /// Only this one, with its instances
    deployment: Option<String>,
    /// Show it anew every few seconds until Ctrl-C
    #[arg(long, short)]
    watch: bool,
    /// How often --watch looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = units::parse_duration, requires = "watch")]
    every: Duration,
}

pub async fn run(context: &Context, args: StatusArgs) -> Result<u8, Failure> {
    let name = args.deployment.unwrap_or_default();
    let mut client = context.connect().await?;
    if !args.watch {
        let request = context.request(StatusRequest { deployment: name.clone() });
        let deployments = client.status(request).await?.into_inner().deployments;
        return show(context, &deployments, !name.is_empty()).map(|()| 0);
    }
    let interrupt = Interrupt::listen();
    let mut ticks = tokio::time::interval(args.every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = interrupt.pressed() => return Ok(0),
        }
        let request = context.request(StatusRequest { deployment: name.clone() });
        let deployments = client.status(request).await?.into_inner().deployments;
        if context.console.out.is_terminal && context.console.format == Format::Table {
            context.console.print(CLEAR)?;
        }
        show(context, &deployments, !name.is_empty())?;
    }
}

/// Cursor to the top left, and all below it erased.
const CLEAR: &str = "\x1b[H\x1b[2J";

fn show(context: &Context, deployments: &[Deployment], is_single: bool) -> Result<(), Failure> {
    let shapes: Vec<json::Deployment<'_>> = deployments.iter().map(Into::into).collect();
    context.print_list(&shapes, "nothing is deployed; try `orchestrator deploy hello-web`", |look| {
        let mut text = table(deployments, look, context.now());
        if let (true, [deployment]) = (is_single, deployments) {
            text.push_str(&detail(deployment, look, context.now()));
        }
        text
    })
}

fn table(deployments: &[Deployment], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("DEPLOYMENT", Fit::Keep),
        ("MODULE", Fit::Keep),
        ("STATE", Fit::Keep),
        ("HEALTHY", Fit::Keep),
        ("NODE", Fit::Cut),
        ("URL", Fit::Keep),
        ("SINCE", Fit::Keep),
        ("MESSAGE", Fit::Wrap),
    ]);
    for deployment in deployments {
        table.row(row(deployment, now));
    }
    table.render(look)
}

fn row(deployment: &Deployment, now: UnixMillis) -> [Cell; 8] {
    let (word, style) = state::deployment(deployment.state);
    let instances = &deployment.instances;
    let healthy = instances.iter().filter(|i| i.state() == State::Healthy).count();
    let module =
        deployment.release.as_ref().map_or_else(String::new, |r| format!("{}@{}", r.module, r.version));
    let since = instances.iter().map(|i| i.since_unix_ms).max().unwrap_or(0);
    [
        Cell::styled(&deployment.name, Style::Bold),
        module.into(),
        Cell::styled(word, style),
        format!("{healthy}/{}", instances.len()).into(),
        nodes(instances).into(),
        urls(instances).into(),
        ago(since, now).into(),
        (&deployment.message).into(),
    ]
}

fn nodes(instances: &[Instance]) -> String {
    let names: std::collections::BTreeSet<&str> =
        instances.iter().map(|i| i.node.as_str()).filter(|node| !node.is_empty()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The first address, and how many there are besides.
fn urls(instances: &[Instance]) -> String {
    let mut urls = instances.iter().flat_map(|i| &i.urls);
    match (urls.next(), urls.count()) {
        (None, _) => String::new(),
        (Some(first), 0) => first.clone(),
        (Some(first), more) => format!("{first} +{more}"),
    }
}

/// The instances one by one, and why they are where they are.
fn detail(deployment: &Deployment, look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("INSTANCE", Fit::Keep),
        ("NODE", Fit::Keep),
        ("STATE", Fit::Keep),
        ("RELEASE", Fit::Cut),
        ("SINCE", Fit::Keep),
        ("RESTARTS", Fit::Keep),
        ("CPU", Fit::Keep),
        ("MEMORY", Fit::Keep),
        ("URL", Fit::Cut),
        ("MESSAGE", Fit::Wrap),
    ])
    .indented(2);
    for instance in &deployment.instances {
        table.row(instance_row(instance, now));
    }
    let mut text = format!("\n{}", table.render(look));
    let reasons = deployment.explanation.as_ref().filter(|explanation| !explanation.nodes.is_empty());
    if let Some(explanation) = reasons {
        text.push_str(&format!(
            "\n  {}\n",
            look.paint(Style::Dim, &format!("Why there (decided for generation {}):", deployment.generation))
        ));
        text.push_str(&explain::explanation(explanation, look, 2));
    }
    text
}

fn instance_row(instance: &Instance, now: UnixMillis) -> [Cell; 10] {
    let (word, style) = state::deployment(instance.state);
    let is_running = instance.memory_bytes > 0;
    let when_running = |text: String| if is_running { text } else { String::new() };
    [
        (&instance.id).into(),
        (&instance.node).into(),
        Cell::styled(word, style),
        instance.release.as_ref().map_or_else(String::new, explain::release).into(),
        ago(instance.since_unix_ms, now).into(),
        if instance.restarts == 0 { String::new() } else { instance.restarts.to_string() }.into(),
        when_running(format!("{:.2}", instance.cpu_cores)).into(),
        when_running(bytes(instance.memory_bytes)).into(),
        instance.urls.join(" ").into(),
        (&instance.message).into(),
    ]
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proto::v1::Release;
    use proto::v1::explanation::{NodeVerdict, Part};

    use super::*;

    const NOW: UnixMillis = 1_700_000_000_000;

    fn sample() -> Deployment {
        let release = Some(Release {
            module: "hello-web".into(),
            version: "0.1.0".into(),
            digest: format!("sha256:{}", "ab".repeat(32)),
        });
        let instance = |index: u32, node: &str, state: State, minutes: i64, message: &str| Instance {
            id: format!("web/{index}"),
            node: node.into(),
            release: release.clone(),
            state: state.into(),
            message: message.into(),
            since_unix_ms: NOW - minutes * 60_000,
            urls: if state == State::Healthy { vec![format!("http://{node}:3100{index}")] } else { vec![] },
            memory_bytes: if state == State::Healthy { 3 << 20 } else { 0 },
            cpu_cores: 0.014,
            ..Default::default()
        };
        let placed = NodeVerdict {
            node: "attic".into(),
            score: 0.9,
            parts: vec![Part { name: "cpu".into(), value: 0.9, weight: 1.0 }],
            instances: vec!["web/0".into()],
            ..Default::default()
        };
        Deployment {
            name: "web".into(),
            generation: 3,
            state: State::Waiting.into(),
            message: "web/1 waits: cellar cannot be reached".into(),
            instances: vec![
                instance(0, "attic", State::Healthy, 3, ""),
                instance(1, "cellar", State::Waiting, 1, "cellar cannot be reached"),
            ],
            release,
            explanation: Some(v1_explanation(vec![placed])),
            ..Default::default()
        }
    }

    fn v1_explanation(nodes: Vec<NodeVerdict>) -> proto::v1::Explanation {
        proto::v1::Explanation { nodes }
    }

    #[test]
    fn the_table_has_one_line_for_each_deployment() {
        let lost = Deployment {
            name: "cache".into(),
            state: State::Pending.into(),
            message: "no node fits".into(),
            ..Default::default()
        };
        assert_snapshot!(table(&[sample(), lost], &Look::default(), NOW), @r"
        DEPLOYMENT  MODULE           STATE    HEALTHY  NODE           URL                 SINCE   MESSAGE
        web         hello-web@0.1.0  waiting  1/2      attic, cellar  http://attic:31000  1m ago  web/1 waits: cellar cannot be reached
        cache                        pending  0/0                                                 no node fits
        ");
    }

    #[test]
    fn one_deployment_shows_its_instances_and_the_reasons() {
        assert_snapshot!(detail(&sample(), &Look::default(), NOW), @r"
        INSTANCE  NODE    STATE    RELEASE                         SINCE   CPU   MEMORY   URL                 MESSAGE
        web/0     attic   healthy  hello-web@0.1.0 (abababababab)  3m ago  0.01  3.0 MiB  http://attic:31000
        web/1     cellar  waiting  hello-web@0.1.0 (abababababab)  1m ago                                     cellar cannot be reached

        Why there (decided for generation 3):
        NODE   SCORE  PLACED  WHY
        attic  0.90   web/0   cpu 0.90 x 1.00
        ");
    }

    #[test]
    fn json_has_the_promised_shape() {
        let mut sample = sample();
        sample.instances.push(Instance {
            id: "web/2".into(),
            state: State::Pending.into(),
            ..Default::default()
        });
        let shape = serde_json::to_string_pretty(&[json::Deployment::from(&sample)]).expect("JSON");
        assert_snapshot!(shape, @r#"
        [
          {
            "deployment": "web",
            "module": "hello-web",
            "version": "0.1.0",
            "generation": 3,
            "state": "waiting",
            "message": "web/1 waits: cellar cannot be reached",
            "instances": [
              {
                "instance": "web/0",
                "node": "attic",
                "version": "0.1.0",
                "digest": "sha256:abababababababababababababababababababababababababababababababab",
                "state": "healthy",
                "since": "2023-11-14T22:10:20.000Z",
                "url": "http://attic:31000",
                "memory_bytes": 3145728,
                "cpu_cores": 0.014
              },
              {
                "instance": "web/1",
                "node": "cellar",
                "version": "0.1.0",
                "digest": "sha256:abababababababababababababababababababababababababababababababab",
                "state": "waiting",
                "since": "2023-11-14T22:12:20.000Z",
                "message": "cellar cannot be reached"
              },
              {
                "instance": "web/2",
                "node": null,
                "version": null,
                "digest": null,
                "state": "pending",
                "since": null
              }
            ]
          }
        ]
        "#);
    }

    #[test]
    fn a_narrow_terminal_still_shows_all() {
        let look = Look { width: Some(60), has_unicode: true, ..Look::default() };
        assert_snapshot!(table(&[sample()], &look, NOW), @r"
        DEPLOYMENT  web
        MODULE      hello-web@0.1.0
        STATE       waiting
        HEALTHY     1/2
        NODE        attic, cellar
        URL         http://attic:31000
        SINCE       1m ago
        MESSAGE     web/1 waits: cellar cannot be reached
        ");
    }
}
