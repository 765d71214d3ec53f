//! The table of all tools.

use modules::effect::Effect::{Destructive, Idempotent, Read, Reversible};

use super::Tool;
use super::signature::{Arg, Signature, Type};

const fn required(name: &'static str, kind: Type, about: &'static str) -> Arg {
    Arg { name, kind, is_required: true, about }
}

const fn optional(name: &'static str, kind: Type, about: &'static str) -> Arg {
    Arg { name, kind, is_required: false, about }
}

const fn integer(least: i64, most: i64) -> Type {
    Type::Integer { least, most }
}

const ANY_INTEGER: Type = integer(i64::MIN, i64::MAX);
const KIB: u32 = 1 << 10;
const PATH: Arg = required("path", Type::Path, "where");
const UNIT: Arg = required("name", Type::Name, "the systemd unit");
const URL: Arg = required("url", Type::Url, "what to fetch");
const DOMAINS: Arg = optional(
    "domains",
    Type::Domains,
    "hosts it may speak to, redirects included; only that of the url if not said",
);
const DEPLOYMENT: Arg = required("deployment", Type::Name, "the deployment");
const PROGRAM_OUT: &[(&str, Type)] =
    &[("exit", ANY_INTEGER), ("stdout", Type::Text), ("stderr", Type::Text), ("truncated", Type::Flag)];
const HTTP_OUT: &[(&str, Type)] =
    &[("status", ANY_INTEGER), ("body", Type::Text), ("json", Type::Any), ("truncated", Type::Flag)];
const CHECK_OUT: &[(&str, Type)] = &[("holds", Type::Flag), ("found", Type::Text)];

#[rustfmt::skip]
pub(super) const SIGNATURES: &[Signature] = &[
    Signature { tool: Tool::CollectFacts, name: "collect.facts", about: "Architecture, system, memory, load and labels of the node.",
        args: &[], out: &[("arch", Type::Text), ("os", Type::Text), ("kernel", Type::Text), ("hostname", Type::Text), ("cpus", ANY_INTEGER),
        ("memory_bytes", ANY_INTEGER), ("load", Type::Number), ("uptime_s", ANY_INTEGER), ("labels", Type::Map), ("capabilities", Type::Texts)],
        effect: Read, timeout_s: 10, output_cap: 16 * KIB },
    Signature { tool: Tool::CollectDisk, name: "collect.disk", about: "Size and use of the file system that holds a path.",
        args: &[optional("path", Type::Path, "any path on it; / if not said")],
        out: &[("size_bytes", ANY_INTEGER), ("free_bytes", ANY_INTEGER), ("used_bytes", ANY_INTEGER), ("used_percent", Type::Number),
        ("inodes_used_percent", Type::Number), ("read_only", Type::Flag)], effect: Read, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::CollectMemory, name: "collect.memory", about: "Memory and swap: size and use.", args: &[],
        out: &[("total_bytes", ANY_INTEGER), ("available_bytes", ANY_INTEGER), ("used_percent", Type::Number),
        ("swap_used_bytes", ANY_INTEGER)], effect: Read, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::CollectProcesses, name: "collect.processes", about: "Processes by use of memory or cpu, without their environment.",
        args: &[optional("most", integer(1, 500), "how many; 20 if not said"), optional("name", Type::Name, "only those of this name")],
        out: &[("processes", Type::Any), ("count", ANY_INTEGER)], effect: Read, timeout_s: 10, output_cap: 64 * KIB },
    Signature { tool: Tool::CollectServices, name: "collect.services", about: "Systemd units that run or have failed.",
        args: &[], out: &[("failed", Type::Texts), ("active", Type::Texts)], effect: Read, timeout_s: 20, output_cap: 64 * KIB },
    Signature { tool: Tool::CollectPackages, name: "collect.packages", about: "Packages of the system that could be upgraded.",
        args: &[], out: &[("upgradable", Type::Texts), ("count", ANY_INTEGER)], effect: Read, timeout_s: 60, output_cap: 64 * KIB },
    Signature { tool: Tool::ExecArgv, name: "exec.argv", about: "Runs a program without a shell; what it may change is for the policy to say.",
        args: &[required("argv", Type::Argv, "the program and its arguments"), optional("env", Type::Map, "variables it sees besides"),
        optional("dir", Type::Path, "where it runs; a folder of its own if not said"), optional("stdin", Type::Text, "what it reads"),
        optional("domains", Type::Domains, "hosts it may speak to; no network if not said")],
        out: PROGRAM_OUT, effect: Read, timeout_s: 60, output_cap: 64 * KIB },
    Signature { tool: Tool::ExecShell, name: "exec.shell", about: "Runs a shell script; always destructive, always asked for.",
        args: &[required("script", Type::Text, "for /bin/sh, without references"), optional("dir", Type::Path, "where it runs"),
        optional("domains", Type::Domains, "hosts it may speak to; no network if not said")],
        out: PROGRAM_OUT, effect: Destructive, timeout_s: 60, output_cap: 64 * KIB },
    Signature { tool: Tool::FileRead, name: "file.read", about: "Reads a text file.",
        args: &[PATH], out: &[("text", Type::Text), ("size_bytes", ANY_INTEGER), ("truncated", Type::Flag)],
        effect: Read, timeout_s: 10, output_cap: 64 * KIB },
    Signature { tool: Tool::FileList, name: "file.list", about: "Lists files below a folder, largest first; follows no links.",
        args: &[PATH, optional("pattern", Type::Text, "file names with * and ?"), optional("older_than_days", integer(0, 36_500), "only those"),
        optional("larger_than_bytes", integer(0, i64::MAX), "only those"), optional("most", integer(1, 256), "how many; 100 if not said")],
        out: &[("files", Type::Paths), ("count", ANY_INTEGER), ("size_bytes", ANY_INTEGER), ("truncated", Type::Flag)],
        effect: Read, timeout_s: 60, output_cap: 64 * KIB },
    Signature { tool: Tool::FileWrite, name: "file.write", about: "Writes a file as a whole and keeps the old one for undo.",
        args: &[PATH, required("text", Type::Text, "its content"), optional("mode", Type::Name, "such as 0644")],
        out: &[("changed", Type::Flag), ("saved", Type::Path)], effect: Reversible, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::FileDelete, name: "file.delete", about: "Deletes files, never folders, never through links.",
        args: &[required("paths", Type::Paths, "the files")], out: &[("deleted", ANY_INTEGER), ("freed_bytes", ANY_INTEGER)],
        effect: Destructive, timeout_s: 60, output_cap: 16 * KIB },
    Signature { tool: Tool::HttpGet, name: "http.get", about: "Fetches a URL.", args: &[URL, DOMAINS], out: HTTP_OUT,
        effect: Read, timeout_s: 30, output_cap: 64 * KIB },
    Signature { tool: Tool::HttpPost, name: "http.post", about: "Sends a body to a URL; what that does is for the other side to know.",
        args: &[URL, required("body", Type::Text, "what is sent"), optional("content_type", Type::Text, "application/json if not said"), DOMAINS],
        out: HTTP_OUT, effect: Destructive, timeout_s: 30, output_cap: 64 * KIB },
    Signature { tool: Tool::ServiceStatus, name: "service.status", about: "State of a systemd unit.",
        args: &[UNIT], out: &[("active", Type::Flag), ("enabled", Type::Flag), ("state", Type::Text), ("since_s", ANY_INTEGER)],
        effect: Read, timeout_s: 10, output_cap: 16 * KIB },
    Signature { tool: Tool::ServiceStart, name: "service.start", about: "Starts a systemd unit.", args: &[UNIT], out: PROGRAM_OUT,
        effect: Idempotent, timeout_s: 90, output_cap: 16 * KIB },
    Signature { tool: Tool::ServiceStop, name: "service.stop", about: "Stops a systemd unit.", args: &[UNIT], out: PROGRAM_OUT,
        effect: Reversible, timeout_s: 90, output_cap: 16 * KIB },
    Signature { tool: Tool::ServiceRestart, name: "service.restart", about: "Restarts a systemd unit.", args: &[UNIT], out: PROGRAM_OUT,
        effect: Reversible, timeout_s: 90, output_cap: 16 * KIB },
    Signature { tool: Tool::ModuleAction, name: "module.action", about: "Runs an action that a module declares on its instance here.",
        args: &[DEPLOYMENT, required("action", Type::Name, "its name"), optional("args", Type::Map, "what it takes")],
        out: PROGRAM_OUT, effect: Read, timeout_s: 60, output_cap: 64 * KIB },
    Signature { tool: Tool::ModuleDeploy, name: "module.deploy", about: "Deploys a module to this node and waits until it is healthy.",
        args: &[required("module", Type::Name, "its name"), optional("version", Type::Name, "the newest if not said"),
        optional("deployment", Type::Name, "the module's name if not said"), optional("config", Type::Map, "no secrets")],
        out: &[("deployment", Type::Text), ("version", Type::Text), ("state", Type::Text), ("url", Type::Text)],
        effect: Reversible, timeout_s: 300, output_cap: 16 * KIB },
    Signature { tool: Tool::ModuleRestart, name: "module.restart", about: "Restarts a deployment's instance here.", args: &[DEPLOYMENT],
        out: &[("state", Type::Text)], effect: Reversible, timeout_s: 180, output_cap: 16 * KIB },
    Signature { tool: Tool::ModuleRollback, name: "module.rollback", about: "Goes back to the previous release of a deployment.", args: &[DEPLOYMENT],
        out: &[("version", Type::Text), ("state", Type::Text)], effect: Reversible, timeout_s: 180, output_cap: 16 * KIB },
    Signature { tool: Tool::ModuleRemove, name: "module.remove", about: "Removes a deployment; its volumes are kept.", args: &[DEPLOYMENT],
        out: &[("state", Type::Text)], effect: Destructive, timeout_s: 180, output_cap: 16 * KIB },
    Signature { tool: Tool::LlmAsk, name: "llm.ask", about: "Asks the model of the step's tier; it may use the named tools, five rounds at most.",
        args: &[required("prompt", Type::Text, "the task"), optional("tools", Type::Tools, "what it may use"),
        optional("rounds", integer(1, 5), "5 if not said"), optional("max_tokens", integer(16, 8192), "of an answer; 512 if not said"),
        optional("domains", Type::Domains, "hosts its tools may speak to; no network if not said")],
        out: &[("text", Type::Text), ("json", Type::Any), ("rounds", ANY_INTEGER)], effect: Read, timeout_s: 180, output_cap: 32 * KIB },
    Signature { tool: Tool::LlmDecide, name: "llm.decide", about: "Lets the model choose one of the options.",
        args: &[required("prompt", Type::Text, "the question"), required("options", Type::Texts, "what to choose from")],
        out: &[("choice", Type::Text), ("why", Type::Text)], effect: Read, timeout_s: 60, output_cap: 4 * KIB },
    Signature { tool: Tool::HumanAsk, name: "human.ask", about: "Asks a person; no answer in time is a no.",
        args: &[required("question", Type::Text, "what to decide"), optional("options", Type::Texts, "yes and no if not said")],
        out: &[("answer", Type::Text), ("by", Type::Text)], effect: Read, timeout_s: 3600, output_cap: 4 * KIB },
    Signature { tool: Tool::VerifyOutput, name: "verify.output", about: "Checks the step's success predicates on outputs of earlier steps.",
        args: &[], out: CHECK_OUT, effect: Read, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::VerifyFile, name: "verify.file", about: "Looks whether a file is there, and at its text.",
        args: &[PATH, optional("exists", Type::Flag, "true if not said"), optional("contains", Type::Text, "what it must have in it")],
        out: CHECK_OUT, effect: Read, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::VerifyService, name: "verify.service", about: "Looks whether a systemd unit is active.",
        args: &[UNIT, optional("active", Type::Flag, "true if not said")], out: CHECK_OUT, effect: Read, timeout_s: 10, output_cap: 4 * KIB },
    Signature { tool: Tool::VerifyHttp, name: "verify.http", about: "Fetches a URL and looks at the status and the text.",
        args: &[URL, DOMAINS, optional("status", integer(100, 599), "200 if not said"), optional("contains", Type::Text, "what it must have in it")],
        out: CHECK_OUT, effect: Read, timeout_s: 30, output_cap: 4 * KIB },
];
