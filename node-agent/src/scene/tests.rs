use proto::v1::{Port, Volume};

use super::*;

#[test]
fn references_ports_and_volumes_are_resolved_for_command_environment_and_templates() {
    let stage = Stage::new();
    let mut spec = spec();
    spec.config.insert("port".into(), "auto".into());
    spec.config.insert("greeting".into(), "hi".into());
    spec.secrets.insert("api-key".into(), "s3cret".into());
    let templates = stage.data.release("sha256:00").join("templates/sub");
    fs::create_dir_all(&templates).expect("made");
    let text = "${config.greeting} ${port.web} ${config.port} ${volume.data} $${x}";
    fs::write(templates.join("a.conf"), text).expect("written");
    let scene = stage.resolve(&spec).expect("resolved");
    scene.furnish().expect("furnished");
    let port = scene.ports["web"].0;
    let volume = stage.data.volumes().join("web.0/state");
    let rendered = fs::read_to_string(scene.instance_dir.join("sub/a.conf")).expect("rendered");
    assert_eq!(rendered, format!("hi {port} {port} {} ${{x}}", volume.display()));
    assert!(volume.is_dir());
    let launch = scene.launch().expect("launch");
    assert_eq!(launch.argv, ["serve".to_owned(), "web/0".to_owned(), port.to_string()]);
    for (name, value) in [
        ("CONFIG_API_KEY", "s3cret"),
        ("PORT_WEB", &port.to_string()),
        ("VOLUME_DATA", &volume.display().to_string()),
        ("GREETING", "hi"),
        ("ORCHESTRATOR_NODE", "pi"),
    ] {
        let expected = (name.to_owned(), value.to_owned());
        assert!(launch.env.contains(&expected), "{expected:?} in {:?}", launch.env);
    }
}

#[test]
fn a_variable_for_a_setting_that_nobody_made_is_left_out() {
    let stage = Stage::new();
    let mut spec = spec();
    spec.config.insert("port".into(), "8080".into());
    spec.config.insert("greeting".into(), "hi".into());
    spec.config.insert("domain".into(), String::new());
    for (name, value) in [("DOMAIN", "${config.domain}"), ("URL", "http://${config.domain}"), ("NONE", "")] {
        process(&mut spec).env.insert(name.into(), value.into());
    }
    let env = stage.resolve(&spec).and_then(|scene| scene.launch()).expect("launch").env;
    let found = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(found("DOMAIN"), None);
    assert_eq!(found("URL"), Some("http://"));
    assert_eq!(found("NONE"), Some(""), "what the module says is said");
}

#[test]
fn what_cannot_be_resolved_is_named() {
    let check = |change: fn(&mut InstanceSpec), expected: &str| {
        let mut spec = spec();
        spec.config.insert("greeting".into(), "hi".into());
        spec.config.insert("port".into(), "8080".into());
        change(&mut spec);
        let stage = Stage::new();
        let result = stage.resolve(&spec).and_then(|scene| scene.launch().map(drop));
        assert_eq!(result.expect_err("refused").to_string(), expected);
    };
    check(|spec| spec.runtime = None, "no runtime that this agent knows");
    check(|spec| spec.ports[0].port = "http".into(), "port web: \"http\" is not a port number");
    check(|spec| spec.ports[0].port = "0".into(), "port web: \"0\" is not a port number");
    check(|spec| spec.volumes[0].path = "../x".into(), "volume data: \"../x\" leaves the volume folder");
    check(|spec| process(spec).command[1] = "${nope}".into(), "command: unknown reference ${nope}");
    check(|spec| process(spec).user = "nobody-such".into(), "there is no user \"nobody-such\" on this node");
}

struct Stage {
    data: DataDir,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = DataDir(dir.path().to_owned());
        fs::create_dir_all(data.logs()).expect("made");
        Self { data, _dir: dir }
    }

    fn resolve(&self, spec: &InstanceSpec) -> Result<Scene, SceneError> {
        let node = NodeName::parse("pi").expect("a name");
        let ports = PortBook::default();
        let ground = Ground { data: &self.data, node: &node, token: "t", lane: Lane::First, ports: &ports };
        let id = InstanceId::parse(&spec.id).expect("an id");
        Scene::resolve(ground, &id, spec, &BTreeMap::new())
    }
}

fn spec() -> InstanceSpec {
    let command = ["serve", "${instance}", "${port.web}"].map(String::from).to_vec();
    let env = BTreeMap::from([("GREETING".to_owned(), "${config.greeting}".to_owned())]);
    let runtime = ProcessRuntime { command, env, ..Default::default() };
    InstanceSpec {
        id: "web/0".into(),
        release: Some(proto::v1::Release { digest: "sha256:00".into(), ..Default::default() }),
        ports: vec![Port {
            name: "web".into(),
            port: "${config.port}".into(),
            protocol: 0,
            ..Default::default()
        }],
        volumes: vec![Volume { name: "data".into(), path: "state".into() }],
        runtime: Some(instance_spec::Runtime::Process(runtime)),
        ..Default::default()
    }
}

fn process(spec: &mut InstanceSpec) -> &mut ProcessRuntime {
    let Some(instance_spec::Runtime::Process(process)) = &mut spec.runtime else { panic!("a process") };
    process
}
