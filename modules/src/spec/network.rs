//! The ports a module listens on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::Spot;
use crate::item_name::ItemName;
use crate::value::parse_port;

/// A port the module listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The port's name, for `${port.<name>}`.
    pub name: ItemName,
    /// A number, `auto` (the node picks a free one and keeps it), or `${config.<name>}`.
    pub port: PortNumber,
    #[serde(default)]
    pub protocol: Protocol,
    /// The port inside the container, where it is another one than `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target: Option<u16>,
    /// Whose port it is, for runtime compose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What listens there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Port {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a port, such as {name: web, port: 8080}")?;
        let name = fields.required(report, "name").and_then(|spot| report.item_name(&spot));
        let parse = |text: &str| PortNumber::parse(text).ok_or("a port is a number from 1 to 65535");
        let expected = "a port number, auto, or \"${config.<name>}\"";
        let port = fields.required(report, "port").and_then(|spot| report.parsed(&spot, expected, parse));
        let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
        let protocol = fields.get(report, "protocol").and_then(|spot| report.choice(&spot, &protocols));
        let parse = |text: &str| parse_port(text).ok_or("a port is a number from 1 to 65535");
        let target = fields.get(report, "target");
        let target = target.and_then(|spot| report.parsed(&spot, "a port number", parse));
        let service = fields.get(report, "service").and_then(|spot| report.short_text(&spot, 128));
        let description = fields.get(report, "description").and_then(|spot| report.text(&spot));
        fields.finish(report);
        Some(Self {
            name: name?,
            port: port?,
            protocol: protocol.unwrap_or_default(),
            target,
            service,
            description: description.unwrap_or_default(),
        })
    }
}

impl Port {
    /// The port inside the container: `target`, or `port` where that is a plain number.
    pub fn inside(&self) -> Option<u16> {
        self.target.or(match self.port {
            PortNumber::Number(number) => Some(number),
            PortNumber::Auto | PortNumber::Config(_) => None,
        })
    }
}

/// Which port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PortText", into = "PortText")]
pub enum PortNumber {
    Number(u16),
    /// The node picks a free one and keeps it over updates.
    Auto,
    /// What the config item of this name says; it is of type port.
    Config(ItemName),
}

/// Tcp or udp.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

impl PortNumber {
    /// What the text says: 1 to 65535, `auto`, or `${config.<name>}`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(PortNumber::Auto);
        }
        if let Some(name) = text.strip_prefix("${config.").and_then(|rest| rest.strip_suffix('}')) {
            return ItemName::parse(name).ok().map(PortNumber::Config);
        }
        parse_port(text).map(PortNumber::Number)
    }
}

impl fmt::Display for PortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortNumber::Number(port) => port.fmt(f),
            PortNumber::Auto => f.pad("auto"),
            PortNumber::Config(name) => f.pad(&format!("${{config.{name}}}")),
        }
    }
}

/// A port as written: a number or a text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PortText {
    Number(u16),
    Text(String),
}

impl TryFrom<PortText> for PortNumber {
    type Error = String;
    fn try_from(text: PortText) -> Result<Self, String> {
        let text = match text {
            PortText::Number(number) => number.to_string(),
            PortText::Text(text) => text,
        };
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a port"))
    }
}

impl From<PortNumber> for PortText {
    fn from(port: PortNumber) -> Self {
        match port {
            PortNumber::Number(number) => PortText::Number(number),
            PortNumber::Auto | PortNumber::Config(_) => PortText::Text(port.to_string()),
        }
    }
}
