//! From a project's page to a running container: imported from a host that answers as GitHub does, accepted, deployed,
//! updated, taken back, removed.

use std::time::Duration;

use e2e::host::Host;
use e2e::orchestrator::eventually;
use e2e::scene::{Scene, fetch};

use crate::containers::{docker_scene, url};
use crate::spine::status;

const README: &str = "\
# Teapot

Teapot is a self-hosted server that keeps tea warm, and watches the containers beside it.

## Install

```sh
docker run -d --name teapot -p 8080:80 -v teapot:/data \\
  -v /var/run/docker.sock:/var/run/docker.sock:ro kettle/teapot:VERSION
```

## License

MIT
";

const SERVE: &str = "\
#!/bin/sh
echo VERSION >>/data/versions
mkdir -p /www
echo \"teapot $(cat /data/versions | tr '\\n' ' ')\" >/www/index.html
test -S /var/run/docker.sock || exit 3
trap 'exit 0' TERM
httpd -f -p 80 -h /www & wait
";

/// The API and the raw files of one repository; what it has is in `/root/github`.
const GITHUB: &str = "\
import hashlib, http.server, json, pathlib

root = pathlib.Path('/root/github')

class Handler(http.server.BaseHTTPRequestHandler):
    def say(self, status, body, kind):
        self.send_response(status)
        self.send_header('content-type', kind)
        self.send_header('content-length', str(len(body)))
        self.send_header('x-ratelimit-limit', '60')
        self.send_header('x-ratelimit-remaining', '57')
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        commit = (root / 'commit').read_text().strip()
        files = {f.name: f.read_bytes() for f in (root / 'files').iterdir()}
        path = self.path.split('?')[0].lower()
        repository = {
            'id': 42, 'name': 'teapot', 'full_name': 'kettle/teapot', 'archived': False,
            'default_branch': 'main', 'description': 'Keeps tea warm', 'homepage': '', 'topics': ['tea'],
            'license': {'key': 'mit', 'name': 'MIT License', 'spdx_id': 'MIT'},
        }
        tree = [
            {'path': name, 'mode': '100644', 'type': 'blob', 'size': len(bytes),
             'sha': hashlib.sha1(bytes).hexdigest()}
            for name, bytes in files.items()
        ]
        as_json = 'application/json; charset=utf-8'
        if path == '/repos/kettle/teapot':
            self.say(200, json.dumps(repository).encode(), as_json)
        elif path == '/repos/kettle/teapot/commits/main':
            self.say(200, commit.encode(), 'application/vnd.github.sha')
        elif path == '/repos/kettle/teapot/git/trees/' + commit:
            answer = {'sha': commit, 'truncated': False, 'tree': tree}
            self.say(200, json.dumps(answer).encode(), as_json)
        elif path.startswith('/raw/kettle/teapot/' + commit + '/'):
            name = self.path.rsplit('/', 1)[1]
            self.say(200 if name in files else 404, files.get(name, b'404: Not Found'), 'text/plain')
        else:
            self.say(404, b'{\"message\":\"Not Found\"}', as_json)

http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Handler).serve_forever()
";

#[test]
fn a_project_on_github_becomes_a_running_container() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    start_github(desk);
    publish(&scene, "1.4.2", '1');
    let import = "import https://github.com/kettle/teapot --github-api http://127.0.0.1:8000 \
                  --github-raw http://127.0.0.1:8000/raw";
    let refused = cli.run(import).exits(1).says("has to be accepted").says("docker.sock");
    let accept = accepting(&refused.stderr);
    assert!(!accept.is_empty(), "{refused}");
    let listed = cli.ok("module list -o json").json();
    assert!(listed.as_array().unwrap().iter().all(|module| module["name"] != "teapot"), "nothing was added");

    cli.ok(&format!("{import}{accept}"));
    cli.ok("deploy teapot");
    let url = url(&status(cli, "teapot"));
    assert_eq!(fetch(&url).as_deref(), Some("teapot 1.4.2 \n"));
    let curled = desk.run(&format!("curl -s -f {url}")).unwrap();
    assert_eq!(curled.trim_end(), "teapot 1.4.2");

    publish(&scene, "1.5.0", '2');
    cli.ok(&format!("{import}{accept}"));
    cli.ok("deploy teapot");
    assert_eq!(status(cli, "teapot")["version"], "1.5.0");
    assert_eq!(fetch(&url).as_deref(), Some("teapot 1.4.2 1.5.0 \n"), "its volume was kept");

    cli.ok("rollback teapot");
    assert_eq!(status(cli, "teapot")["version"], "1.4.2");
    eventually("the former release serves", Duration::from_secs(10), || {
        fetch(&url).as_deref() == Some("teapot 1.4.2 1.5.0 1.4.2 \n")
    });
    cli.ok("remove teapot --purge");
    assert_eq!(a.left_in_engine().unwrap(), "");
    assert_eq!(fetch(&url), None);
}

/// The options that a refusal names.
pub fn accepting(said: &str) -> String {
    let hint = said.lines().find(|line| line.starts_with("hint:")).unwrap_or_default();
    let ids = hint.split("--accept ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    ids.map(|id| format!(" --accept {id}")).collect()
}

/// A new state of the repository, and the image that its README names on host `a`.
fn publish(scene: &Scene, version: &str, letter: char) {
    let desk = scene.fleet.desk();
    let commit: String = std::iter::repeat_n(letter, 40).collect();
    desk.write("/root/github/files/README.md", &README.replace("VERSION", version)).unwrap();
    desk.write("/root/github/commit", &commit).unwrap();
    let serve = SERVE.replace("VERSION", version);
    let files = [("/serve.sh", serve.as_str()), ("/data/.keep", "")];
    let image = format!("kettle/teapot:{version}");
    let changes = ["CMD [\"/serve.sh\"]", "EXPOSE 80"];
    scene.fleet.host("a").make_image(&image, &files, &changes).unwrap();
}

fn start_github(desk: &Host) {
    desk.write("/root/github.py", GITHUB).unwrap();
    desk.write("/root/github/files/README.md", "# Teapot\n").unwrap();
    desk.write("/root/github/commit", "0").unwrap();
    desk.run("setsid python3 /root/github.py >/root/github.log 2>&1 </dev/null &").unwrap();
    eventually("the host answers", Duration::from_secs(10), || {
        desk.run("curl -s -o /dev/null http://127.0.0.1:8000/repos/kettle/teapot").is_ok()
    });
}
