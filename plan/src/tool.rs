//! The tools that steps call: a closed table. Each has typed arguments, an effect, a timeout and a cap on its output.

use std::fmt;

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

pub mod signature;
mod table;
#[cfg(test)]
mod tests;

use signature::Signature;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tool {
    CollectFacts,
    CollectDisk,
    CollectMemory,
    CollectProcesses,
    CollectServices,
    CollectPackages,
    ExecArgv,
    ExecShell,
    FileRead,
    FileList,
    FileWrite,
    FileDelete,
    HttpGet,
    HttpPost,
    ServiceStatus,
    ServiceStart,
    ServiceStop,
    ServiceRestart,
    ModuleAction,
    ModuleDeploy,
    ModuleRestart,
    ModuleRollback,
    ModuleRemove,
    LlmAsk,
    LlmDecide,
    HumanAsk,
    VerifyOutput,
    VerifyFile,
    VerifyService,
    VerifyHttp,
}

/// The family of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Collect,
    Exec,
    File,
    Http,
    Service,
    Module,
    Llm,
    Human,
    Verify,
}

/// No tool has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool {text:?}")]
pub struct UnknownTool {
    pub text: String,
}

impl Tool {
    /// # Errors
    /// When no tool has this name.
    pub fn parse(text: &str) -> Result<Self, UnknownTool> {
        let found = table::SIGNATURES.iter().find(|signature| signature.name == text);
        let unknown = || UnknownTool { text: text.chars().take(60).collect() };
        found.map(|signature| signature.tool).ok_or_else(unknown)
    }

    pub fn all() -> impl Iterator<Item = &'static Signature> {
        table::SIGNATURES.iter()
    }

    pub fn signature(self) -> &'static Signature {
        let found = table::SIGNATURES.iter().find(|signature| signature.tool == self);
        found.expect("the table has every tool, which a test checks")
    }

    pub fn name(self) -> &'static str {
        self.signature().name
    }

    pub fn kind(self) -> Kind {
        match self {
            Tool::CollectFacts
            | Tool::CollectDisk
            | Tool::CollectMemory
            | Tool::CollectProcesses
            | Tool::CollectServices
            | Tool::CollectPackages => Kind::Collect,
            Tool::ExecArgv | Tool::ExecShell => Kind::Exec,
            Tool::FileRead | Tool::FileList | Tool::FileWrite | Tool::FileDelete => Kind::File,
            Tool::HttpGet | Tool::HttpPost => Kind::Http,
            Tool::ServiceStatus | Tool::ServiceStart | Tool::ServiceStop | Tool::ServiceRestart => {
                Kind::Service
            }
            Tool::ModuleAction
            | Tool::ModuleDeploy
            | Tool::ModuleRestart
            | Tool::ModuleRollback
            | Tool::ModuleRemove => Kind::Module,
            Tool::LlmAsk | Tool::LlmDecide => Kind::Llm,
            Tool::HumanAsk => Kind::Human,
            Tool::VerifyOutput | Tool::VerifyFile | Tool::VerifyService | Tool::VerifyHttp => Kind::Verify,
        }
    }

    /// The least effect it can have; what a module action or a command does besides is for module and policy to say.
    pub fn effect(self) -> Effect {
        self.signature().effect
    }
}

impl Kind {
    pub const NAMED: [(&'static str, Kind); 9] = [
        ("collect", Kind::Collect),
        ("exec", Kind::Exec),
        ("file", Kind::File),
        ("http", Kind::Http),
        ("service", Kind::Service),
        ("module", Kind::Module),
        ("llm", Kind::Llm),
        ("human", Kind::Human),
        ("verify", Kind::Verify),
    ];

    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, named)| *named == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TryFrom<String> for Tool {
    type Error = UnknownTool;
    fn try_from(text: String) -> Result<Self, UnknownTool> {
        Self::parse(&text)
    }
}

impl From<Tool> for String {
    fn from(tool: Tool) -> String {
        tool.name().to_owned()
    }
}
