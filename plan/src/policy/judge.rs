//! Judges a call of any tool.

use modules::effect::Effect;
use serde_json::Value;

use super::command::{self, Command};
use super::look::Look;
use super::path::{self, Access};
use super::verdict::{Decision, Verdict};
use super::{Policy, UNKNOWN_EFFECT, unit, web};
use crate::step::{Args, Call};
use crate::tool::{Kind, Tool};

/// Folders that no program gets to write to as a whole, with all that is in them.
const WHOLE: [&str; 12] =
    ["/", "/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/usr", "/var", "/var/lib"];

impl Policy {
    /// What the policy says of a call. References in it, if it still has any, stand for themselves.
    pub fn judge(&self, call: &Call, look: &Look<'_>) -> Verdict {
        let mut verdict = Verdict { effect: call.tool.effect(), ..Verdict::allow() };
        if let Some(decision) = self.tools.get(&call.tool).filter(|decision| **decision != Decision::Allow) {
            verdict.add(*decision, format!("the policy says {decision} for {}", call.tool));
        }
        match call.tool.kind() {
            Kind::Exec => verdict.join(self.judge_exec(call, look)),
            Kind::File => verdict.join(self.judge_file(call, look)),
            Kind::Http => verdict.join(self.judge_web(&call.args)),
            Kind::Service => verdict.join(self.judge_service(call)),
            Kind::Verify => {
                if let Some(path) = text(&call.args, "path") {
                    verdict.join(path::judge(self, &path::plain(path, "/"), Access::Read, look));
                }
                if call.args.contains_key("url") {
                    verdict.join(self.judge_web(&call.args));
                }
            }
            Kind::Collect | Kind::Module | Kind::Llm | Kind::Human => {}
        }
        verdict
    }

    /// The same of a call that a step owns up to. What an action of a module does is the module's to say, so one that may
    /// destroy something is asked for, unless the policy allows actions by name.
    pub fn judge_step(&self, effect: Effect, call: &Call, look: &Look<'_>) -> Verdict {
        let mut verdict = self.judge(call, look);
        if effect != Effect::Read && verdict.effect == Effect::Read {
            verdict.join(self.judge_dir(call, Access::Write, look));
        }
        let is_lifted = self.tools.get(&call.tool) == Some(&Decision::Allow);
        if call.tool == Tool::ModuleAction && effect == Effect::Destructive && !is_lifted {
            verdict.add(Decision::Ask, "an action that may destroy something is asked for");
        }
        verdict
    }

    fn judge_exec(&self, call: &Call, look: &Look<'_>) -> Verdict {
        let mut verdict = self.judge_program(call, look);
        let access = if verdict.effect == Effect::Read { Access::Read } else { Access::Write };
        verdict.join(self.judge_dir(call, access, look));
        verdict
    }

    /// The folder that a program runs in: it can list it, and change it where it changes something.
    fn judge_dir(&self, call: &Call, access: Access, look: &Look<'_>) -> Verdict {
        let Some(dir) = text(&call.args, "dir").filter(|_| call.tool.kind() == Kind::Exec) else {
            return Verdict::allow();
        };
        let dir = path::plain(dir, "/");
        let mut verdict = path::judge(self, &dir, access, look);
        let real = (look.real_path)(&dir);
        if access == Access::Write && WHOLE.iter().any(|whole| *whole == dir || *whole == real) {
            verdict.add(Decision::Forbid, format!("{dir} as a whole is more than a step may write to"));
        }
        verdict
    }

    fn judge_program(&self, call: &Call, look: &Look<'_>) -> Verdict {
        let dir = text(&call.args, "dir");
        if call.tool == Tool::ExecShell {
            let mut verdict = Verdict { effect: UNKNOWN_EFFECT, ..Verdict::allow() };
            verdict.add(Decision::Ask, "a shell script can do anything");
            let script = text(&call.args, "script").unwrap_or_default();
            for path in path::in_word(script, dir.unwrap_or("/")) {
                verdict.join(path::judge(self, &path, Access::Read, look));
            }
            return verdict;
        }
        let words = |name: &str| call.args.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let argv: Vec<String> = words("argv").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let env = call.args.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
        let env =
            env.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        let command = Command { argv, env: env.collect(), dir: dir.map(str::to_owned) };
        let mut verdict = command::judge(self, &command, look);
        for domain in words("domains").iter().filter_map(Value::as_str) {
            verdict.join(web::judge_url(self, &format!("https://{}/", domain.trim_start_matches("*.")), &[]));
        }
        verdict
    }

    fn judge_file(&self, call: &Call, look: &Look<'_>) -> Verdict {
        let access = if call.tool.effect() == Effect::Read { Access::Read } else { Access::Write };
        let listed = call.args.get("paths").and_then(Value::as_array);
        let paths = listed.into_iter().flatten().filter_map(Value::as_str).chain(text(&call.args, "path"));
        let mut verdict = Verdict::allow();
        for path in paths {
            if path.contains('\0') || path.split('/').any(|part| part == "..") {
                verdict.add(Decision::Forbid, format!("{path:?} is no plain path"));
            }
            verdict.join(path::judge(self, &path::plain(path, "/"), access, look));
        }
        verdict
    }

    fn judge_web(&self, args: &Args) -> Verdict {
        let domains = args.get("domains").and_then(Value::as_array);
        let domains: Vec<&str> = domains.into_iter().flatten().filter_map(Value::as_str).collect();
        let mut verdict = web::judge_url(self, text(args, "url").unwrap_or_default(), &domains);
        for domain in domains {
            verdict.join(web::judge_url(self, &format!("https://{}/", domain.trim_start_matches("*.")), &[]));
        }
        verdict
    }

    fn judge_service(&self, call: &Call) -> Verdict {
        match call.tool {
            Tool::ServiceStart | Tool::ServiceStop | Tool::ServiceRestart => {
                unit::judge(self, text(&call.args, "name").unwrap_or_default())
            }
            _ => Verdict::allow(),
        }
    }
}

fn text<'a>(args: &'a Args, name: &str) -> Option<&'a str> {
    args.get(name).and_then(Value::as_str)
}
