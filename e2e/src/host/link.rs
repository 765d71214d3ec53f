//! The line of a host: a veth pair from the fleet's bridge into the host's network namespace, and its faults.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Removes every rule that the functions below make; run on the host.
pub const CLEAR_RULES: &str =
    "iptables -w -F; iptables -w -t nat -F; tc qdisc del dev eth0 root 2>/dev/null || true";

/// How a blocked port behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing comes back, so who connects waits.
    Silent,
    /// The connection is refused at once.
    Reset,
}

/// Works on the machine's end of the line, so it needs no running host.
#[derive(Debug, Clone)]
pub struct Link {
    pub(super) slot: u8,
    pub(super) number: u8,
    pub(super) namespace: String,
}

impl Link {
    /// Makes the network namespace and the line into it. The MAC address is fixed: a host that comes back must
    /// not be unreachable until the ARP caches of others forget the old one.
    pub(super) fn plug(&self, address: Ipv4Addr) -> Result<()> {
        let (slot, number, namespace, end) = (self.slot, self.number, &self.namespace, self.end());
        let mac = format!("02:e2:00:00:{slot:02x}:{number:02x}");
        ip(
            &[],
            &format!(
                "netns add {namespace}\n\
             link add {end} type veth peer name eth0 address {mac} netns {namespace}\n\
             link set {end} master oe{slot} up\n"
            ),
        )?;
        ip(
            &["-n", namespace],
            &format!(
                "link set lo up\n\
             address add {address}/24 dev eth0\n\
             link set eth0 up\n\
             route add default via 10.213.{slot}.1\n"
            ),
        )
    }

    pub(super) fn unplug(&self) -> Result<()> {
        ip(&[], &format!("link delete {}\nnetns delete {}\n", self.end(), self.namespace))
    }

    pub(super) fn cut(&self) -> Result<()> {
        ip(&[], &format!("link set {} down\n", self.end()))
    }

    pub(super) fn heal(&self) -> Result<()> {
        ip(&[], &format!("link set {} up\n", self.end()))?;
        // Fails when there was no limit, which is as well.
        sh(&format!("tc qdisc del dev {} root 2>/dev/null || true", self.end()))
    }

    pub(super) fn narrow(&self, rate: &str) -> Result<()> {
        sh(&limit(&self.end(), rate))
    }

    fn end(&self) -> String {
        format!("oe{}h{}", self.slot, self.number)
    }
}

pub(super) fn limit(device: &str, rate: &str) -> String {
    format!("tc qdisc replace dev {device} root tbf rate {rate} burst 16kb latency 300ms")
}

pub(super) fn drop_rules(percent: u8) -> String {
    let share = f64::from(percent) / 100.0;
    let rule = format!("-m statistic --mode random --probability {share} -j DROP");
    format!("iptables -w -A INPUT -i eth0 {rule} && iptables -w -A OUTPUT -o eth0 {rule}")
}

pub(super) fn redirect_rules(port: u16) -> String {
    format!("iptables -w -t nat -A PREROUTING -i eth0 -p tcp -j REDIRECT --to-ports {port}")
}

pub(super) fn block_rules(port: u16, refusal: Refusal) -> String {
    let target = match refusal {
        Refusal::Silent => "DROP",
        Refusal::Reset => "REJECT --reject-with tcp-reset",
    };
    format!("iptables -w -A INPUT -i eth0 -p tcp --dport {port} -j {target}")
}

/// Feeds lines to one `ip` process, which is much faster than a process for each.
pub fn ip(options: &[&str], batch: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(options).args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("could not run `ip`: install iproute2 (scripts/setup --test)")?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(batch.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ip: {}in:\n{batch}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

pub fn sh(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-c", script]).output()?;
    ensure!(output.status.success(), "`{script}`: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
