//! Running the actions that an instance's module declares.

use plan::run::event::{Ending, Event as Happened};
use proto::v1::exec_output::Event;
use proto::v1::{ActRequest, Action, Argument, Effect, InstanceSpec, Phase};
use tonic::Code;

use crate::fleet::Client;
use crate::node::{Node, apply, wait_phase};
use crate::package::{HEALTHY, SICK, SLEEP, package, spec};
use crate::run::{Follower, plan, request};

/// The action, its arguments, what is agreed to, and how it is refused.
type Case = (&'static str, Args, Effect, Code, &'static str);
type Args = &'static [(&'static str, &'static str)];

const SHOW: (&str, &str) = (
    "show.sh",
    "#!/bin/sh\necho \"$1 for $ORCHESTRATOR_INSTANCE in $CONFIG_GREETING\"; echo careful >&2; exit $2\n",
);

#[tokio::test]
async fn an_action_runs_with_its_arguments_where_the_instance_runs() {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY, SHOW]);
    node.receive(&release);
    apply(&mut client, 1, &[wish(spec(&release, 1))]).await;
    wait_phase(&mut client, Phase::Running, 1).await;

    let done =
        act(&mut client, "show", &[("what", "a word; rm -rf ~ $(id)")], Effect::Read).await.expect("run");
    assert_eq!(done, ("a word; rm -rf ~ $(id) for web/0 in hello\n".to_owned(), "careful\n".to_owned(), 0));
    let failed = act(&mut client, "show", &[("what", "x"), ("code", "7")], Effect::Read).await.expect("run");
    assert_eq!(failed.2, 7);
    let slow = act(&mut client, "sleep", &[], Effect::Read).await.expect("run");
    assert_eq!(slow.2, 124, "it may take a second and no more");
    assert_eq!(node.programs().len(), 1, "what took too long is gone");
}

#[tokio::test]
async fn what_is_not_as_declared_is_refused_and_nothing_runs() {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY, SHOW]);
    node.receive(&release);
    apply(&mut client, 1, &[wish(spec(&release, 1))]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let cases: [Case; 7] = [
        ("shwo", &[], Effect::Destructive, Code::NotFound, "it has destroy, show, sleep"),
        ("show", &[], Effect::Read, Code::InvalidArgument, "argument \"what\" is required"),
        ("show", &[("what", "x"), ("code", "seven")], Effect::Read, Code::InvalidArgument, "a whole number"),
        ("show", &[("what", "x"), ("who", "y")], Effect::Read, Code::InvalidArgument, "no argument \"who\""),
        ("show", &[("what", "x\0y")], Effect::Read, Code::InvalidArgument, "zero byte"),
        ("destroy", &[], Effect::Reversible, Code::PermissionDenied, "is destructive"),
        ("destroy", &[], Effect::Unspecified, Code::PermissionDenied, "no more than read was agreed to"),
    ];
    for (action, args, accepts, code, words) in cases {
        let refused = act(&mut client, action, args, accepts).await.expect_err(words);
        assert_eq!(refused.code(), code, "{action} {args:?}: {refused}");
        assert!(refused.message().contains(words), "{action} {args:?}: {refused}");
    }
    let release = node.path("releases").join(release.digest.trim_start_matches("sha256:"));
    assert!(!release.join("destroyed").exists());
    act(&mut client, "destroy", &[], Effect::Destructive).await.expect("run");
    assert!(release.join("destroyed").exists());
    let nowhere = ActRequest { instance: "shop/3".into(), action: "show".into(), ..Default::default() };
    assert_eq!(client.act(nowhere).await.expect_err("no such instance").code(), Code::NotFound);
}

#[tokio::test]
async fn after_a_rollback_the_actions_are_those_of_what_runs() {
    let (node, mut client) = Node::running().await;
    let good = package("1", &[SLEEP, HEALTHY, ("show.sh", "#!/bin/sh\necho the old one\n")]);
    let bad = package("2", &[SLEEP, SICK, ("show.sh", "#!/bin/sh\necho the new one\n")]);
    node.receive(&good);
    node.receive(&bad);
    apply(&mut client, 1, &[wish(spec(&good, 1))]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    apply(&mut client, 2, &[wish(spec(&bad, 2))]).await;
    wait_phase(&mut client, Phase::RolledBack, 2).await;
    let said = act(&mut client, "show", &[("what", "x")], Effect::Read).await.expect("run").0;
    assert_eq!(said, "the old one\n");
}

#[tokio::test]
async fn a_step_of_a_plan_runs_an_action_within_the_effect_that_was_agreed_to() {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY, SHOW]);
    node.receive(&release);
    apply(&mut client, 1, &[wish(spec(&release, 1))]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let mut runs = node.runs().await;
    let steps = "  - {id: show, tool: module.action, args: {deployment: web, action: show, args: {what: 'a; id'}}}\n\
        \x20 - {id: seven, tool: module.action, args: {deployment: web, action: show, args: {what: x, code: '7'}}, on_failure: continue}\n\
        \x20 - {id: sly, tool: module.action, args: {deployment: web, action: destroy}, on_failure: continue}\n\
        \x20 - {id: gone, tool: module.action, args: {deployment: shop, action: show}, on_failure: continue}\n\
        \x20 - {id: slow, tool: module.action, args: {deployment: web, action: sleep}, on_failure: continue}\n\
        \x20 - {id: destroy, needs: [show], tool: module.action, args: {deployment: web, action: destroy}, effect: destructive}";
    let plan = plan(steps);
    runs.begin(request("r1", &plan)).await.expect("begun");
    let mut follower = Follower::attach(&mut runs, "r1").await;
    let destroyed =
        node.path("releases").join(release.digest.trim_start_matches("sha256:")).join("destroyed");
    let asked = follower
        .event(
            "a request",
            |event| matches!(event, Happened::Asked { step, .. } if step.as_str() == "destroy"),
        )
        .await;
    assert!(
        matches!(asked, Happened::Asked { .. }) && !destroyed.exists(),
        "nothing is destroyed before the yes"
    );
    let shown = follower.approve("destroy", true).await;
    assert!(shown.contains("destroy") && shown.contains("web"), "{shown}");
    let Ending::DoneExcept { steps } = follower.ending().await else { panic!("{:#?}", follower.events()) };
    let failed: Vec<&str> = steps.iter().map(|step| step.as_str()).collect();
    assert_eq!(failed, ["gone", "seven", "slow", "sly"]);
    let out = follower.out("show");
    assert_eq!((&out["exit"], &out["stdout"]), (&0.into(), &"a; id for web/0 in hello\n".into()));
    assert_eq!(out["stderr"], "careful\n");
    assert_eq!(follower.out("seven")["exit"], 7);
    assert!(follower.why("sly").contains("no more than read was agreed to"), "{}", follower.why("sly"));
    assert!(follower.why("gone").contains("no instance on this node"), "{}", follower.why("gone"));
    assert!(follower.why("slow").contains("longer than its timeout"), "{}", follower.why("slow"));
    assert!(destroyed.exists());
    assert_eq!(node.processes().len(), 1, "what took too long is gone, and the instance is not");
}

fn wish(mut spec: InstanceSpec) -> InstanceSpec {
    let argument = |kind: &str, default: Option<&str>| Argument {
        r#type: kind.to_owned(),
        default: default.map(str::to_owned),
        required: default.is_none(),
        ..Default::default()
    };
    let action = |argv: &[&str], effect: Effect| Action {
        command: argv.iter().map(|word| (*word).to_owned()).collect(),
        effect: effect.into(),
        timeout_ms: 1000,
        ..Default::default()
    };
    let mut show = action(&["./show.sh", "${args.what}", "${args.code}"], Effect::Read);
    show.args.insert("what".to_owned(), argument("string", None));
    show.args.insert("code".to_owned(), argument("int", Some("0")));
    spec.config.insert("greeting".to_owned(), "hello".to_owned());
    spec.actions.insert("show".to_owned(), show);
    spec.actions.insert("sleep".to_owned(), action(&["sleep", "1000"], Effect::Read));
    spec.actions.insert("destroy".to_owned(), action(&["touch", "destroyed"], Effect::Destructive));
    spec
}

/// What it wrote to both outputs, and how it ended.
async fn act(
    client: &mut Client,
    action: &str,
    args: &[(&str, &str)],
    accepts: Effect,
) -> Result<(String, String, i32), tonic::Status> {
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request =
        ActRequest { instance: "web/0".into(), action: action.into(), args, accepts: accepts.into() };
    let mut stream = client.act(request).await?.into_inner();
    let (mut stdout, mut stderr, mut code) = (Vec::new(), Vec::new(), None);
    while let Some(output) = stream.message().await? {
        match output.event.expect("an event") {
            Event::Stdout(bytes) => stdout.extend(bytes),
            Event::Stderr(bytes) => stderr.extend(bytes),
            Event::ExitCode(number) => code = Some(number),
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ok((text(stdout), text(stderr), code.expect("it ended")))
}
