//! The scripts that make a machine a node, and one that undoes it. Each can be cut off anywhere and run again.

use crate::agents::tunnel::{start_script, unit};
use crate::domain::node::{NodeRecord, Supervisor};
use crate::fleet::enrol::binaries::AgentBinary;
use crate::fleet::enrol::probe::SHA256;
use crate::ssh::shell::quote;

/// The status of the upload script when the binary does not run there.
pub const DOES_NOT_RUN: i32 = 66;

/// Takes the agent's binary on stdin, checks that it arrived whole and runs here, and puts it in its place.
pub fn upload_script(node: &NodeRecord, binary: &AgentBinary) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    format!(
        r#"set -e; umask 022; {SHA256}
mkdir -p {data_dir}/bin; cd {data_dir}/bin
for f in .node-agent.*; do kill -0 "${{f##*.}}" 2>/dev/null || rm -f "$f"; done
t=./.node-agent.$$; trap 'rm -f "$t"' EXIT; trap 'exit 1' HUP INT TERM
e=$(dd of="$t" bs=65536 conv=fsync 2>&1) || {{ echo "$e" >&2; exit 1; }}
[ "$(sum256 <"$t")" = {digest} ] || {{ echo "the upload did not arrive whole" >&2; exit 1; }}
chmod 755 "$t"
e=$("$t" version 2>&1) || {{ echo "$e" >&2; exit {DOES_NOT_RUN}; }}
mv -f "$t" node-agent"#,
        digest = binary.digest,
    )
}

/// Gives the installation its number where it has none, and prints it with a request for a certificate.
pub fn enrol_script(node: &NodeRecord) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    format!(
        r#"set -e; umask 022; cd {data_dir}
[ -s machine ] || {{ cat /proc/sys/kernel/random/uuid >.machine.new; mv -f .machine.new machine || [ -s machine ]; }}
echo "machine=$(cat machine)"
exec ./bin/node-agent enrol --node {name} --data-dir {data_dir}"#,
        name = node.name,
    )
}

/// Takes the certificate on stdin; the agent is restarted to show it. Instances run on.
pub fn certificate_script(node: &NodeRecord) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    format!(
        "set -e; cd {data_dir}; ./bin/node-agent install-certificate --data-dir {data_dir} >/dev/null\n{}\n{}",
        stop_script(node),
        start_script(node)
    )
}

/// Takes the certificate on stdin, makes sure that something starts the agent after a reboot, and starts it anew.
/// Prints where it listens.
pub fn start_script_with_certificate(node: &NodeRecord) -> String {
    // The certificate comes first: it is the script's input.
    certificate_script(node).replacen('\n', &format!("\n{}\n", supervise_script(node)), 1)
}

/// Makes sure that something starts the agent after a reboot.
pub fn supervise_script(node: &NodeRecord) -> String {
    match node.install.supervisor {
        Supervisor::Systemd => unit_script(node),
        Supervisor::Cron => cron_script(node),
        Supervisor::Contact => ":".to_owned(),
    }
}

/// Stops the agent however it was started, and nothing it runs.
fn stop_script(node: &NodeRecord) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    let unit = match node.install.supervisor {
        Supervisor::Systemd => format!("systemctl stop {} 2>/dev/null || :; ", unit(node)),
        Supervisor::Cron | Supervisor::Contact => String::new(),
    };
    format!("{unit}{data_dir}/bin/node-agent stop --data-dir {data_dir} >/dev/null 2>&1 </dev/null || :")
}

fn unit_script(node: &NodeRecord) -> String {
    let data_dir = node.data_dir.to_string_lossy().replace('%', "%%");
    let content = format!(
        "[Unit]\nDescription=orchestrator node agent\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=exec\nExecStart=\"{data_dir}/bin/node-agent\" run --listen {listen} --data-dir \"{data_dir}\"\n\
         Restart=always\nRestartSec=1\nKillMode=process\nLimitNOFILE=65536\nOOMScoreAdjust=-500\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        listen = node.install.listen,
    );
    format!(
        "u=/etc/systemd/system/{unit}\nprintf %s {} >$u.new\n\
         if cmp -s $u.new $u; then rm -f $u.new; else mv -f $u.new $u; systemctl daemon-reload; fi\n\
         systemctl enable -q {unit}",
        quote(&content),
        unit = unit(node),
    )
}

/// Marks our line among the crontab's others.
const CRON_MARK: &str = "# orchestrator-agent";

fn cron_script(node: &NodeRecord) -> String {
    let data_dir = node.data_dir.to_string_lossy();
    let start = format!(
        "@reboot {} start --listen {} --data-dir {} {CRON_MARK}",
        quote(&format!("{data_dir}/bin/node-agent")),
        node.install.listen,
        quote(&data_dir)
    );
    format!("{{ crontab -l 2>/dev/null | grep -v '{CRON_MARK}$' || :; echo {}; }} | crontab -", quote(&start))
}

/// Stops everything and removes all but the volumes. Nothing starts the agent meanwhile; where something cannot be
/// ended, the node is as it was.
pub fn remove_script(node: &NodeRecord) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    let unit = unit(node);
    let (disable, remove) = match node.install.supervisor {
        Supervisor::Systemd => (
            format!("systemctl disable -q --now {unit} 2>/dev/null || :"),
            format!("rm -f /etc/systemd/system/{unit}; systemctl daemon-reload || :"),
        ),
        Supervisor::Cron => (
            format!("{{ crontab -l 2>/dev/null | grep -v '{CRON_MARK}$' || :; }} | crontab -"),
            ":".to_owned(),
        ),
        Supervisor::Contact => (":".to_owned(), ":".to_owned()),
    };
    format!(
        "cd {data_dir} 2>/dev/null || exit 0\n\
         {disable}\n\
         if [ -x bin/node-agent ] && ! ./bin/node-agent stop --instances --data-dir {data_dir} </dev/null >&2; then\n\
         ( {supervise}\n{start} ) >/dev/null </dev/null || :\nexit 1\nfi\n\
         {remove}\n\
         for f in ./* ./.[!.]*; do case $f in ./volumes) ;; *) rm -rf \"$f\" || exit 1;; esac; done\n\
         cd /; rmdir {data_dir}/volumes {data_dir} 2>/dev/null || :",
        supervise = supervise_script(node),
        start = start_script(node),
    )
}

/// The certificate request in what the enrol script printed.
pub fn csr_in(output: &str) -> String {
    let start = output.find("-----BEGIN").unwrap_or(output.len());
    format!("{}\n", &output[start..])
}

/// The machine's number in what the enrol script printed.
pub fn machine_in(output: &str) -> String {
    output.lines().find_map(|line| line.strip_prefix("machine=")).unwrap_or_default().to_owned()
}
