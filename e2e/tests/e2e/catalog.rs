//! The built-in modules, each installed as on any Debian machine, used as people use it, and removed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use e2e::fleet::{DISK, Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, Outcome, Running, repository};
use e2e::scene::{DATA, fetch};

/// What each module that runs as a process cannot do without, and what must be set. Modules in containers are placed
/// by a test of the coordinator.
const NEEDS: [(&str, Option<&str>, &str); 21] = [
    ("alertmanager", Some("apt"), ""),
    ("caddy", Some("apt"), ""),
    ("dnsmasq", Some("apt"), ""),
    ("glances", Some("python3"), "password"),
    ("hello-web", None, ""),
    ("mariadb", Some("apt"), "root-password password"),
    ("minidlna", Some("apt"), ""),
    ("mosquitto", Some("apt"), ""),
    ("nginx", Some("apt"), ""),
    ("node-exporter", Some("apt"), ""),
    ("node-red", Some("npm"), "password credential-secret"),
    ("postgresql", Some("apt"), "admin-password password"),
    ("prometheus", Some("apt"), ""),
    ("radicale", Some("python3"), ""),
    ("redis", Some("apt"), ""),
    ("samba", Some("apt"), "password"),
    ("sqlite-web", Some("python3"), "password"),
    ("syncthing", Some("apt"), ""),
    ("transmission", Some("apt"), "password"),
    ("unbound", Some("apt"), ""),
    ("wsgidav", Some("python3"), "password"),
];
/// Of these, what the test below installs; `catalog_servers` installs the others.
const USED_HERE: [&str; 6] = ["mosquitto", "nginx", "node-exporter", "radicale", "redis", "syncthing"];

#[test]
fn every_built_in_module_says_where_it_can_run_and_where_not() {
    let fleet = Fleet::up(2).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    fleet.desk().write("/root/password", PASSWORD).unwrap();
    let programs = "/usr/bin/apt-get /usr/bin/python3 /usr/local/bin/python3 /usr/bin/npm /usr/local/bin/npm";
    fleet.host("b").run(&format!("rm -f {programs}")).unwrap();
    for name in ["a", "b"] {
        cli.ok(&format!("node add {name} --ssh {name}"));
    }
    let listed = cli.ok("module list -o json").json();
    let names = listed.as_array().unwrap().iter().map(|module| module["name"].as_str().unwrap());
    let processes: BTreeSet<&str> = names.filter(|name| is_process(name)).collect();
    let tested: BTreeSet<&str> = NEEDS.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(processes, tested, "each built-in process is tested here");
    for (name, needed, secrets) in NEEDS {
        let given: String =
            secrets.split_whitespace().map(|secret| format!(" --secret {secret}=@/root/password")).collect();
        let deploy = format!("deploy {name} --dry-run --explain{given} --node");
        if needed != Some("npm") || fleet.host("a").exists("/usr/bin/npm") {
            cli.ok(&format!("{deploy} a")).says(&format!("{name}/0"));
        }
        let incapable = cli.run(&format!("{deploy} b"));
        match needed {
            Some(capability) => incapable.says(&format!("needs capability {capability}")).says("would wait"),
            None => incapable.exits(0).says(&format!("{name}/0")),
        };
    }
    assert_eq!(cli.ok("status -o json").json().as_array().map(Vec::len), Some(0));
}

/// Whether the module of this name runs as a process.
fn is_process(name: &str) -> bool {
    let place = repository().join("modules/catalog").join(name).join("MODULE.yaml");
    std::fs::read_to_string(place).unwrap().lines().any(|line| line.starts_with("  process:"))
}

/// A password with everything that a shell, a configuration file or a URL could trip over.
pub const PASSWORD: &str = r#"p4: $x "y\z' #1"#;
/// The same in base64, behind `home:`.
pub const BASIC: &str = "aG9tZTpwNDogJHggInlceicgIzE=";

#[test]
fn the_built_in_modules_are_installed_used_and_removed() {
    let wish = Wish { disk_bytes: DISK, internet: true, ..Wish::hosts(2) };
    let fleet = Fleet::up_with(&wish).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    fleet.desk().write("/root/password", &format!("{PASSWORD}\n")).unwrap();
    let (a, b) = (fleet.host("a"), fleet.host("b"));
    let before: Vec<_> = [a, b].map(Before::of).into();
    for name in ["a", "b"] {
        cli.ok(&format!("node add {name} --ssh {name}"));
    }
    let secret = "--secret password=- </root/password";
    let deploys: Vec<Running> = [
        format!("deploy mosquitto --node a {secret}"),
        format!("deploy syncthing --node b {secret}"),
        "deploy nginx --node a".to_string(),
        format!("deploy redis --node b {secret}"),
        format!("deploy radicale --node a {secret}"),
        "deploy node-exporter --node b".to_string(),
    ]
    .map(|line| cli.start(&line))
    .into();
    let healthy: Vec<Outcome> = deploys.into_iter().map(|deploy| deploy.wait().exits(0)).collect();
    assert!(healthy.iter().all(|outcome| !outcome.to_string().contains(PASSWORD)), "{healthy:?}");

    use_mosquitto(&cli, a);
    use_nginx(&cli, a);
    use_radicale(&cli, a);
    use_redis(&cli, b);
    use_syncthing(b);
    use_node_exporter(b);

    for (host, before) in [a, b].into_iter().zip(&before) {
        before.assert_no_service_was_left_on(host);
        before.assert_nothing_runs_as_root_on(host);
    }
    for name in USED_HERE {
        cli.ok(&format!("remove {name}"));
    }
    without_a_password_only_the_node_itself_is_served(&cli, a);
    for (host, before) in [a, b].into_iter().zip(&before) {
        before.assert_only_volumes_were_left_on(host);
    }
}

/// A message that is to be kept survives a restart; nobody gets in without the password.
fn use_mosquitto(cli: &Orchestrator, host: &Host) {
    let address = host.address();
    host.write("/root/.config/mosquitto_pub", &format!("-h {address}\n-u mqtt\n-P {PASSWORD}\n")).unwrap();
    host.run("cp ~/.config/mosquitto_pub ~/.config/mosquitto_sub").unwrap();
    host.run("mosquitto_pub -t home/door -m open -r -q 1").unwrap();
    cli.ok("restart mosquitto");
    let kept = host.run("mosquitto_sub -t 'home/#' -v -C 1 -W 10").unwrap();
    assert_eq!(kept, "home/door open\n");
    host.run("rm ~/.config/mosquitto_*").unwrap();
    for stranger in ["", "-u mqtt -P wrong"] {
        let refused = host.try_run(&format!("mosquitto_pub -h {address} {stranger} -t home/door -m x"));
        assert!(!refused.unwrap().status.success(), "{stranger}");
    }
}

/// It has a first page, then serves what is put into its volume, and takes new settings.
fn use_nginx(cli: &Orchestrator, host: &Host) {
    let url = format!("http://{}:8080", host.address());
    assert!(fetch(&url).unwrap().contains("It works"));
    host.write(&format!("{DATA}/volumes/nginx.0/www/notes/today.txt"), "milk").unwrap();
    assert_eq!(fetch(&format!("{url}/notes/today.txt")).as_deref(), Some("milk"));
    assert_eq!(fetch(&format!("{url}/notes/")), None, "folders are not listed unless asked for");
    cli.ok("deploy nginx --node a --set listing=on --set port=80");
    assert!(fetch(&format!("http://{}:80/notes/", host.address())).unwrap().contains("today.txt"));
    cli.ok("logs nginx").says("GET /notes/today.txt");
}

fn use_radicale(cli: &Orchestrator, host: &Host) {
    let (address, port) = (host.address(), 5232);
    let propfind = |more: &str| {
        let head =
            format!("PROPFIND /home/ HTTP/1.0\r\nHost: x\r\nDepth: 0\r\n{more}Content-Length: 0\r\n\r\n");
        talk(address, port, &head)
    };
    let options = talk(address, port, "OPTIONS / HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(options.contains("calendar-access"), "{options}");
    let allowed = propfind(&format!("Authorization: Basic {BASIC}\r\n"));
    assert!(allowed.contains(" 207 "), "{allowed}\n{}", cli.run("logs radicale"));
    let refused = propfind("");
    assert!(refused.contains(" 401 "), "{refused}");
}

/// What was set is still there after a restart.
fn use_redis(cli: &Orchestrator, host: &Host) {
    let ask = |commands: &[&[&str]]| {
        let quit: &[&str] = &["QUIT"];
        talk(
            host.address(),
            6379,
            &commands.iter().chain([&quit]).map(|words| resp(words)).collect::<String>(),
        )
    };
    let login: &[&str] = &["AUTH", PASSWORD];
    assert!(ask(&[&["GET", "lamp"]]).starts_with("-NOAUTH"));
    assert_eq!(ask(&[login, &["SET", "lamp", "on"]]), "+OK\r\n+OK\r\n+OK\r\n");
    cli.ok("restart redis");
    assert_eq!(ask(&[login, &["GET", "lamp"]]), "+OK\r\n$2\r\non\r\n+OK\r\n");
}

fn use_syncthing(host: &Host) {
    let ping = |key: &str| {
        let head = format!("GET /rest/system/ping HTTP/1.0\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
        talk(host.address(), 8384, &head)
    };
    let settings = host.read(&format!("{DATA}/volumes/syncthing.0/state/config.xml")).unwrap();
    let key = settings.split("<apikey>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let pong = ping(key);
    assert!(pong.contains("pong"), "{pong}");
    let refused = ping("guessed");
    assert!(!refused.contains(" 200 "), "{refused}");
    assert!(settings.contains("<password>$2"), "a hash of the password is kept");
}

fn use_node_exporter(host: &Host) {
    host.write(&format!("{DATA}/volumes/node-exporter.0/textfile/own.prom"), "attic_celsius 21.5\n").unwrap();
    let metrics = fetch(&format!("http://{}:9100/metrics", host.address())).unwrap();
    for metric in ["node_memory_MemAvailable_bytes ", "node_load1 ", "attic_celsius 21.5"] {
        assert!(metrics.contains(metric), "{metric}");
    }
}

/// What nobody protected is healthy, but nobody in the network gets in.
fn without_a_password_only_the_node_itself_is_served(cli: &Orchestrator, host: &Host) {
    let modules = [("mosquitto", 1883), ("radicale", 5232), ("redis", 6379), ("syncthing", 8384)];
    let deploys = modules.map(|(name, _)| cli.start(&format!("deploy {name} --node {}", host.name())));
    for deploy in deploys {
        deploy.wait().exits(0);
    }
    for (name, port) in modules {
        match TcpStream::connect((host.address(), port)) {
            // Redis says so itself, unasked, and hangs up.
            Ok(_) => assert!(talk(host.address(), port, "").starts_with("-DENIED"), "{name}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{name}"),
        }
    }
    for (name, _) in modules {
        cli.ok(&format!("remove {name}"));
    }
}

/// How a host was before it got anything.
pub struct Before {
    commands: BTreeSet<String>,
    services: BTreeSet<String>,
}

impl Before {
    pub fn of(host: &Host) -> Before {
        Before { commands: commands(host), services: services(host) }
    }

    /// The distribution's own services are not to start at the next boot.
    pub fn assert_no_service_was_left_on(&self, host: &Host) {
        let added: Vec<_> = services(host).difference(&self.services).cloned().collect();
        assert!(added.is_empty(), "on {}: {added:?}", host.name());
        assert!(!host.exists("/usr/sbin/policy-rc.d"), "on {}", host.name());
    }

    pub fn assert_nothing_runs_as_root_on(&self, host: &Host) {
        let users = host.run("ps -e -o user= -o args= | sed -n 's/^root  *//p'").unwrap();
        let is_new = |command: &&str| is_lasting(command) && !self.commands.contains(*command);
        let added: Vec<_> =
            users.lines().filter(is_new).filter(|line| !line.contains("node-agent")).collect();
        assert!(added.is_empty(), "on {}: {added:?}", host.name());
    }

    pub fn assert_only_volumes_were_left_on(&self, host: &Host) {
        // What is being deleted may vanish while it is listed.
        let find = "find instances releases logs -mindepth 1 -maxdepth 1 -not -name 'node-agent*' || true";
        let find = format!("cd {DATA} && {find}");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = host.run(&find).unwrap();
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "on {}: {left}", host.name());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!host.run(&format!("ls {DATA}/volumes")).unwrap().is_empty());
        let left: Vec<_> = commands(host).difference(&self.commands).cloned().collect();
        assert!(left.iter().all(|command| command.contains("node-agent")), "on {}: {left:?}", host.name());
    }
}

/// What runs on the host.
fn commands(host: &Host) -> BTreeSet<String> {
    let commands = host.processes().unwrap().into_iter().map(|(_, command)| command);
    commands.filter(|command| is_lasting(command)).collect()
}

/// Neither a login nor the looking itself.
fn is_lasting(command: &str) -> bool {
    !command.contains("ps -e") && !command.contains("sshd: ") && !command.starts_with("sed -n")
}

fn services(host: &Host) -> BTreeSet<String> {
    let find = "find /etc/systemd/system -name '*.service' -path '*.wants/*'";
    host.run(find).unwrap().lines().map(str::to_string).collect()
}

/// A command as Redis takes it, whatever its words contain.
fn resp(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches("\r\n").count() / 2)
}

/// Sends and returns all that comes back until the other side ends it.
pub fn talk(address: Ipv4Addr, port: u16, words: &str) -> String {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
