//! More of the built-in modules, each spoken to in its own protocol before and after an update.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use e2e::fleet::{DISK, Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, Running, eventually, repository};
use e2e::scene::{DATA, fetch};

use crate::catalog::{BASIC, Before, PASSWORD, talk};

/// Packages come from afar, and a small machine takes its time to unpack them.
const INSTALL: Duration = Duration::from_secs(900);
const SECRET: &str = "--secret password=@/root/password";

struct Scene {
    fleet: Fleet,
    cli: Orchestrator,
    before: Before,
}

impl Scene {
    fn up() -> Scene {
        let wish = Wish { disk_bytes: 2 * DISK, internet: true, ..Wish::hosts(1) };
        let fleet = Fleet::up_with(&wish).unwrap();
        let cli = Orchestrator::on(fleet.desk()).unwrap();
        for host in [fleet.desk(), fleet.host("a")] {
            host.write("/root/password", PASSWORD).unwrap();
        }
        let before = Before::of(fleet.host("a"));
        cli.ok("node add a --ssh a");
        Scene { fleet, cli, before }
    }

    fn host(&self) -> &Host {
        self.fleet.host("a")
    }

    fn address(&self) -> Ipv4Addr {
        self.host().address()
    }

    /// Deploys the built-in modules all at once, with what must be set.
    fn deploy(&self, modules: &[(&str, &str)]) {
        self.install(modules.iter().map(|(module, flags)| format!("{module} {flags}")));
    }

    /// Deploys the next version of each, which is the same but for its number.
    fn update(&self, modules: &[(&str, &str)]) {
        modules.iter().for_each(|(module, _)| copy_of(module, self.fleet.desk()));
        self.install(modules.iter().map(|(module, flags)| format!("./next/{module} {flags}")));
        for (module, _) in modules {
            let status = self.cli.ok(&format!("status {module}"));
            status.says("1.0.1");
        }
    }

    /// Deploys all of these at once; each is healthy when its command ends.
    fn install(&self, what: impl Iterator<Item = String>) {
        let begin = |what: String| self.cli.start(&format!("deploy {what} --timeout 15m"));
        let deploys: Vec<Running> = what.map(begin).collect();
        for deploy in deploys {
            let outcome = deploy.wait_within(INSTALL).exits(0);
            assert!(!outcome.to_string().contains(PASSWORD), "{outcome}");
        }
    }

    /// Nothing but volumes is left of them, and no service of the distribution's was left on.
    fn remove(&self, modules: &[(&str, &str)]) {
        self.before.assert_no_service_was_left_on(self.host());
        for (module, _) in modules {
            self.cli.ok(&format!("remove {module}"));
        }
        self.before.assert_only_volumes_were_left_on(self.host());
    }

    /// Runs a client on the node; `$password` is the password.
    fn client(&self, script: &str) -> Option<String> {
        let output = self.host().try_run(&format!("password=$(cat /root/password)\n{script}")).unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[track_caller]
    fn client_sees(&self, script: &str, wanted: &str) {
        let seen = self.client(script);
        assert!(seen.as_deref().is_some_and(|seen| seen.contains(wanted)), "{wanted}: {seen:?}\n{script}");
    }

    #[track_caller]
    fn client_is_refused(&self, script: &str) {
        let seen = self.client(script);
        assert_eq!(seen, None, "{script}");
    }
}

/// Writes a module of the catalog into `next/` on the desk, with a higher version.
fn copy_of(module: &str, desk: &Host) {
    let source = repository().join("modules/catalog").join(module);
    copy(&source, &source, &format!("/root/next/{module}"), desk);
    desk.run(&format!("sed -i 's/^version: 1.0.0/version: 1.0.1/' /root/next/{module}/MODULE.yaml")).unwrap();
}

fn copy(root: &Path, folder: &Path, target: &str, desk: &Host) {
    for entry in fs::read_dir(folder).unwrap() {
        let place = entry.unwrap().path();
        if place.is_dir() {
            copy(root, &place, target, desk);
        } else {
            let inside = place.strip_prefix(root).unwrap().display().to_string();
            desk.write(&format!("{target}/{inside}"), &fs::read_to_string(&place).unwrap()).unwrap();
        }
    }
}

#[test]
fn databases_and_shares_keep_what_was_put_into_them() {
    let scene = Scene::up();
    let modules = [
        ("mariadb", "--secret root-password=@/root/password --secret password=@/root/password"),
        ("postgresql", "--secret admin-password=@/root/password --secret password=@/root/password"),
        ("samba", SECRET),
        ("transmission", SECRET),
        ("minidlna", "--set title=Attic"),
    ];
    scene.deploy(&modules);
    scene.host().run("apt-get install -y --no-install-recommends smbclient >/dev/null 2>&1").unwrap();

    let address = scene.address();
    let mysql = format!("MYSQL_PWD=\"$password\" mariadb -h {address} -u app app -Nse");
    let postgres = format!("PGPASSWORD=\"$password\" psql -h {address} -U app app -Atc");
    let samba = format!("smbclient //{address}/files -U \"home%$password\" -c");
    let torrents = format!("TR_AUTH=\"home:$password\" transmission-remote {address}:9091 --authenv");
    scene.client_sees(&format!("{mysql} \"CREATE TABLE lamps (room TEXT); INSERT INTO lamps VALUES ('attic'); SELECT * FROM lamps\""), "attic");
    scene.client_is_refused(&format!("MYSQL_PWD=wrong mariadb -h {address} -u app app -e 'SELECT 1'"));
    scene.client_is_refused(&format!("mariadb -h {address} -u root -e 'SELECT 1'"));
    scene.client_sees(
        &format!("MYSQL_PWD=\"$password\" mariadb -h {address} -u root -Nse 'SELECT CURRENT_USER()'"),
        "root@",
    );
    scene.client_sees(
        &format!(
            "{postgres} \"CREATE TABLE lamps (room text); INSERT INTO lamps VALUES ('attic') RETURNING room\""
        ),
        "attic",
    );
    scene.client_is_refused(&format!("PGPASSWORD=wrong psql -h {address} -U app app -c 'SELECT 1'"));
    scene.client(&format!("echo milk >/tmp/list && {samba} 'put /tmp/list list'")).unwrap();
    scene.client_is_refused(&format!("smbclient //{address}/files -U home%wrong -c ls"));
    scene.client_is_refused(&format!("smbclient //{address}/files -N -c ls"));
    let magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=holiday";
    scene.client(&format!("{torrents} --add '{magnet}'")).unwrap();
    scene.client_is_refused(&format!("transmission-remote {address}:9091 --auth home:wrong --list"));
    let identity = show_sound(&scene);

    scene.update(&modules);

    scene.client_sees(&format!("{mysql} 'SELECT * FROM lamps'"), "attic");
    scene.client_sees(&format!("{postgres} 'SELECT * FROM lamps'"), "attic");
    scene.client_sees(&format!("{samba} 'get list /tmp/got' >&2; cat /tmp/got"), "milk");
    scene.client_sees(&format!("{torrents} --list"), "holiday");
    assert!(browse(&scene).contains("bell"));
    assert_eq!(fetch(&format!("http://{address}:8200/rootDesc.xml")).unwrap(), identity);
    scene.remove(&modules);
}

/// A sound that is put into the folder is soon listed by name; gives what the server says of itself.
fn show_sound(scene: &Scene) -> String {
    let place = format!("{DATA}/volumes/minidlna.0/media/bell.wav");
    let write = "w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000); w.writeframes(bytes(16000))";
    scene
        .host()
        .run(&format!("python3 -c \"import wave; w = wave.open('{place}', 'wb'); {write}\""))
        .unwrap();
    scene.host().run(&format!("chmod a+r {place}")).unwrap();
    eventually("the sound is listed", Duration::from_secs(60), || browse(scene).contains("bell"));
    let identity = fetch(&format!("http://{}:8200/rootDesc.xml", scene.address())).unwrap();
    assert!(identity.contains("Attic") && identity.contains("uuid:"), "{identity}");
    identity
}

/// What a television sees.
fn browse(scene: &Scene) -> String {
    let body = "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
        <u:Browse xmlns:u=\"urn:schemas-upnp-org:service:ContentDirectory:1\"><ObjectID>0</ObjectID>\
        <BrowseFlag>BrowseDirectChildren</BrowseFlag><Filter>*</Filter><StartingIndex>0</StartingIndex>\
        <RequestedCount>100</RequestedCount><SortCriteria></SortCriteria></u:Browse></s:Body></s:Envelope>";
    let head = format!(
        "POST /ctl/ContentDir HTTP/1.1\r\nHost: {}:8200\r\nConnection: close\r\nContent-Type: text/xml\r\n\
         SOAPAction: \"urn:schemas-upnp-org:service:ContentDirectory:1#Browse\"\r\nContent-Length: {}\r\n\r\n",
        scene.address(),
        body.len()
    );
    talk(scene.address(), 8200, &format!("{head}{body}"))
}

#[test]
fn name_servers_and_monitors_answer_and_remember() {
    let scene = Scene::up();
    let modules = [
        ("unbound", ""),
        ("dnsmasq", "--set upstream=127.0.0.1#5335 --set names=nas=10.9.8.7"),
        ("prometheus", "--set targets=127.0.0.1:9093 --set interval=1s"),
        ("alertmanager", ""),
        ("caddy", ""),
    ];
    scene.deploy(&modules);
    let (host, address) = (scene.host(), scene.address());
    let volumes = format!("{DATA}/volumes");
    let zone = "server:\n  local-data: \"box.attic. A 10.1.2.3\"\n";
    host.write(&format!("{volumes}/unbound.0/conf/box.conf"), zone).unwrap();
    host.write(&format!("{volumes}/dnsmasq.0/conf/own.block"), "# not these\nads.attic\n").unwrap();
    host.run(&format!("chmod a+r {volumes}/unbound.0/conf/* {volumes}/dnsmasq.0/conf/*")).unwrap();
    scene.cli.ok("restart unbound");
    scene.cli.ok("restart dnsmasq");
    check_names(address);
    assert_eq!(ask(address, 53, "nobody.lan"), Vec::<Ipv4Addr>::new());

    let query = |expression: &str| {
        fetch(&format!("http://{address}:9090/api/v1/query?query={expression}")).unwrap_or_default()
    };
    eventually("alertmanager is asked for its metrics", Duration::from_secs(30), || {
        query("up%7Bjob%3D%22nodes%22%7D").contains("\"1\"]")
    });
    eventually("prometheus has asked itself when it was started", Duration::from_secs(60), || {
        query("process_start_time_seconds%7Bjob%3D%22prometheus%22%7D").contains("\"value\"")
    });
    let alerts = format!("http://{address}:9093/api/v2");
    let json = "curl -fsS -H 'Content-Type: application/json' -d";
    let silence = "{\"matchers\": [{\"name\": \"alertname\", \"value\": \"Frost\", \"isRegex\": false}], \
        \"startsAt\": \"2020-01-01T00:00:00Z\", \"endsAt\": \"2099-01-01T00:00:00Z\", \
        \"createdBy\": \"me\", \"comment\": \"heating is off\"}";
    host.run(&format!("{json} '{silence}' {alerts}/silences")).unwrap();
    host.run(&format!("{json} '[{{\"labels\": {{\"alertname\": \"Frost\"}}}}]' {alerts}/alerts")).unwrap();
    eventually("the alert is there, and nobody is told", Duration::from_secs(30), || {
        let found = fetch(&format!("{alerts}/alerts")).unwrap_or_default();
        found.contains("Frost") && found.contains("suppressed")
    });
    let authority = format!("{volumes}/caddy.0/data/pki/authorities/local/root.crt");
    host.run(&format!("cp {authority} /root/authority.crt")).unwrap();
    let trusting = "curl -fsS --cacert /root/authority.crt https://localhost:8443/";
    scene.client_sees(trusting, "It works");
    assert!(fetch(&format!("http://{address}:8088/")).unwrap().contains("It works"));
    host.write(&format!("{volumes}/caddy.0/www/note.txt"), "milk").unwrap();

    scene.update(&modules);

    check_names(address);
    eventually("the time before the update is still known", Duration::from_secs(30), || {
        let changes = query("changes(process_start_time_seconds%7Bjob%3D%22prometheus%22%7D%5B1h%5D)");
        changes.contains("\"1\"]")
    });
    assert!(fetch(&format!("{alerts}/silences")).unwrap().contains("heating is off"));
    scene.client_sees(trusting, "It works");
    scene.client_sees("curl -fsS --cacert /root/authority.crt https://localhost:8443/note.txt", "milk");
    scene.before.assert_nothing_runs_as_root_on(host);
    scene.remove(&modules);
}

/// Names of the node's own, names that another resolver knows, and names that shall not exist.
fn check_names(address: Ipv4Addr) {
    let box_address = vec![Ipv4Addr::new(10, 1, 2, 3)];
    assert_eq!(ask(address, 5335, "box.attic"), box_address);
    assert_eq!(ask(address, 53, "box.attic"), box_address, "dnsmasq asks unbound");
    assert_eq!(ask(address, 53, "nas.lan"), vec![Ipv4Addr::new(10, 9, 8, 7)]);
    assert_eq!(ask(address, 53, "ads.attic"), Vec::<Ipv4Addr>::new());
}

/// Asks a name server for the addresses of a name.
#[track_caller]
fn ask(server: Ipv4Addr, port: u16, name: &str) -> Vec<Ipv4Addr> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&question, (server, port)).unwrap();
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).unwrap_or_else(|error| panic!("{name} on {port}: {error}"));
    assert_eq!(answer[..2], question[..2], "{name}");
    let count = usize::from(u16::from_be_bytes([answer[6], answer[7]]));
    let mut rest = &answer[question.len()..length];
    let mut found = Vec::new();
    for _ in 0..count {
        // A name that points back, type, class, time, length: twelve bytes.
        let size = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
        if rest[2..4] == [0, 1] && size == 4 {
            found.push(Ipv4Addr::new(rest[12], rest[13], rest[14], rest[15]));
        }
        rest = &rest[12 + size..];
    }
    found
}

#[test]
fn programs_from_pypi_and_npm_keep_what_was_made_with_them() {
    let scene = Scene::up();
    let modules = [
        ("wsgidav", SECRET),
        ("sqlite-web", SECRET),
        ("glances", SECRET),
        ("node-red", "--secret password=@/root/password --secret credential-secret=@/root/password"),
    ];
    // As on any machine whose provider or company looks into its connections.
    if Path::new("/usr/bin/npm").exists() {
        let npm = "npm config set --location=global cafile /etc/ssl/certs/ca-certificates.crt";
        scene.host().run(npm).unwrap();
    }
    scene.deploy(&modules);
    let address = scene.address();

    let put = format!(
        "PUT /list.txt HTTP/1.0\r\nHost: x\r\nAuthorization: Basic {BASIC}\r\nContent-Length: 4\r\n\r\nmilk"
    );
    assert!(talk(address, 8091, &put).contains(" 201 "));
    let get = |more: &str| talk(address, 8091, &format!("GET /list.txt HTTP/1.0\r\nHost: x\r\n{more}\r\n"));
    assert!(get("").contains(" 401 "));
    let authorized = format!("Authorization: Basic {BASIC}\r\n");
    assert!(get(&authorized).ends_with("milk"));

    let page = format!("http://{address}:8092");
    let login = format!("curl -fsS -c /root/cookies --data-urlencode \"password=$password\" {page}/login/");
    let query = |sql: &str| {
        format!("{login} >&2 && curl -fsS -b /root/cookies --data-urlencode \"sql={sql}\" {page}/query/")
    };
    scene.client(&query("CREATE TABLE lamps AS SELECT 'attic' AS room")).unwrap();
    scene.client_sees(&query("SELECT * FROM lamps"), "attic");
    let stranger = scene.client(&format!("curl -sS -o /dev/null -w '%{{http_code}}' {page}/lamps/"));
    assert_eq!(stranger.as_deref(), Some("302"), "a stranger is sent to the login");

    let load = format!("http://{address}:61208/api/4/load");
    scene.client_sees(&format!("curl -fsS -u \"glances:$password\" {load}"), "cpucore");
    scene.client_is_refused(&format!("curl -fsS {load}"));
    scene.client_is_refused(&format!("curl -fsS -u glances:wrong {load}"));

    let red = format!("http://{address}:1880");
    let token = format!(
        "curl -fsS --data-urlencode \"password=$password\" -d client_id=node-red-admin -d grant_type=password \
         -d scope='*' -d username=admin {red}/auth/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/'"
    );
    let flows = r#"[{"id":"f","type":"tab","label":"door"},{"id":"in","type":"http in","z":"f","url":"/door","method":"get","wires":[["t"]]},{"id":"t","type":"template","z":"f","field":"payload","template":"open","wires":[["out"]]},{"id":"out","type":"http response","z":"f"}]"#;
    let post = "-H 'Content-Type: application/json' -d";
    scene
        .client(&format!("curl -fsS -H \"Authorization: Bearer $({token})\" {post} '{flows}' {red}/flows"))
        .unwrap();
    scene.client_is_refused(&format!("curl -fsS {post} '[]' {red}/flows"));
    assert_eq!(fetch(&format!("{red}/door")).as_deref(), Some("open"));

    scene.update(&modules);

    assert!(get(&authorized).ends_with("milk"));
    scene.client_sees(&query("SELECT * FROM lamps"), "attic");
    scene.client_sees(&format!("curl -fsS -u \"glances:$password\" {load}"), "cpucore");
    eventually("the flow runs again", Duration::from_secs(30), || {
        fetch(&format!("{red}/door")).as_deref() == Some("open")
    });
    scene.before.assert_nothing_runs_as_root_on(scene.host());
    scene.remove(&modules);
}
