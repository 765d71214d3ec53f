//! `ports`: the short form (`8080:80`, `127.0.0.1:53:53/udp`, `3000-3005`) and the long one.

use super::log::Log;
use super::model::{HostPort, Port};
use super::read::{Spot, has_reference};
use crate::spec::network::Protocol;

const EXPECTED: &str = "a port such as 8080:80, 127.0.0.1:53:53/udp or 3000-3005:3000-3005";

pub fn read(spot: &Spot<'_>, log: &mut Log) -> Vec<Port> {
    let mut ports = Vec::new();
    for item in log.list(spot) {
        let port = if item.node.entries().is_some() { long(&item, log) } else { short(&item, log) };
        ports.extend(port);
    }
    ports
}

fn short(spot: &Spot<'_>, log: &mut Log) -> Option<Port> {
    let text = log.filled(spot)?;
    warn_of_base_60(spot, &text, log);
    match parse(text.trim()) {
        Ok(port) => Some(Port { field: spot.path.clone(), ..port }),
        Err(hint) => {
            log.not(spot, EXPECTED, Some(hint).filter(|hint| !hint.is_empty()));
            None
        }
    }
}

/// `22:22` without quotes is the number 1342 to readers of YAML 1.1.
fn warn_of_base_60(spot: &Spot<'_>, text: &str, log: &mut Log) {
    let is_plain = matches!(spot.node.value, super::node::Value::Plain(_));
    let parts: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    let Some(parts) = parts.filter(|parts| is_plain && parts.len() > 1) else { return };
    if parts[1..].iter().all(|part| *part < 60) {
        let number = parts.iter().fold(0_u64, |sum, part| sum * 60 + u64::from(*part));
        let what =
            format!("is read as {text:?}; quote it, other YAML readers take it for the number {number}");
        log.remark(spot.at(), &spot.path, what);
    }
}

/// Reads the short form; the error is a hint.
pub fn parse(text: &str) -> Result<Port, String> {
    let (address, protocol) = match text.rsplit_once('/') {
        Some((address, protocol)) if !protocol.contains('}') => (address, parse_protocol(protocol)?),
        _ => (text, Protocol::Tcp),
    };
    let parts = split(address);
    let (host_ip, host, container) = match parts.as_slice() {
        [container] => (None, None, *container),
        [host, container] => (None, Some(*host), *container),
        [ip, host, container] => (Some(*ip), Some(*host), *container),
        _ => return Err("an IPv6 address needs brackets: [::1]:8080:80".to_owned()),
    };
    let container = parse_range(container)?;
    let host = host.map_or(Ok(HostPort::Any), parse_host)?;
    fits(&host, container)?;
    let host_ip = host_ip.map(parse_ip).transpose()?;
    Ok(Port { host_ip, host, container, protocol, name: None, field: String::new() })
}

/// Splits at colons, except those inside `[…]` and `${…}`.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        other => Err(format!("the protocol {other:?} is neither tcp nor udp")),
    }
}

fn parse_ip(text: &str) -> Result<String, String> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    if has_reference(text) {
        return Ok(text.to_owned());
    }
    let parsed: Result<std::net::IpAddr, _> = plain.parse();
    parsed.map(|address| address.to_string()).map_err(|_| format!("{plain:?} is no IP address"))
}

fn parse_host(text: &str) -> Result<HostPort, String> {
    if has_reference(text) {
        return Ok(HostPort::Reference(text.to_owned()));
    }
    if text.is_empty() {
        return Ok(HostPort::Any);
    }
    if text == "0" {
        return Ok(HostPort::Any);
    }
    parse_range(text).map(|(first, last)| HostPort::Numbers(first, last))
}

fn parse_range(text: &str) -> Result<(u16, u16), String> {
    if has_reference(text) {
        return Err("only the port on the node can be a reference".to_owned());
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let number: Option<u16> = text.trim().parse().ok();
        number.filter(|number| *number != 0).ok_or_else(|| format!("{text:?} is no port from 1 to 65535"))
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("the range {text} runs backwards"));
    }
    Ok((first, last))
}

fn fits(host: &HostPort, container: (u16, u16)) -> Result<(), String> {
    let size = container.1 - container.0;
    match host {
        HostPort::Numbers(first, last) if size > 0 && last - first != size => {
            Err("both ranges must be of the same size".to_owned())
        }
        HostPort::Reference(_) if size > 0 => Err("a reference is one port, not a range".to_owned()),
        HostPort::Any | HostPort::Numbers(..) | HostPort::Reference(_) => Ok(()),
    }
}

fn long(spot: &Spot<'_>, log: &mut Log) -> Option<Port> {
    log.map(spot, &["target", "published", "host_ip", "protocol", "app_protocol", "mode", "name"]);
    let Some(target) = spot.get("target", log) else {
        let at = spot.at();
        log.wrong(at, &format!("{}.target", spot.path), "nothing", "the port inside the container", None);
        return None;
    };
    let hint = |result: Result<_, String>| result;
    let container = log.parsed(&target, "a port from 1 to 65535", |text| hint(parse_range(text)))?;
    let host = match spot.get("published", log) {
        Some(published) => {
            let text = log.text(&published)?;
            match parse_host(text.trim()).and_then(|host| fits(&host, container).map(|()| host)) {
                Ok(host) => host,
                Err(hint) => {
                    log.not(&published, "a port or a range", Some(hint));
                    return None;
                }
            }
        }
        None => HostPort::Any,
    };
    let host_ip = spot.get("host_ip", log).and_then(|spot| log.parsed(&spot, "an IP address", parse_ip));
    let protocol = spot.get("protocol", log);
    let protocol = protocol.and_then(|spot| log.parsed(&spot, "tcp or udp", parse_protocol));
    let name = spot.get("name", log).and_then(|spot| log.text(&spot));
    let protocol = protocol.unwrap_or_default();
    Some(Port { host_ip, host, container, protocol, name, field: spot.path.clone() })
}
