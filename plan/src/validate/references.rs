//! References and predicates: only to steps that are over by then, to what their tools give, where it fits.

use std::collections::BTreeSet;

use crate::fault::Faults;
use crate::plan::Plan;
use crate::predicate::{Predicate, Subject};
use crate::reference::{self, NODE, RUN};
use crate::step::{Call, Step, StepId};
use crate::tool::Tool;
use crate::tool::signature::Type;

pub(super) fn check(plan: &Plan, step: &Step, field: &str, faults: &mut Faults) {
    let mut scope = Scope { plan, step, over: plan.ancestors(&step.id), faults };
    scope.call(&step.call, &format!("{field}.args"));
    scope.predicates(&step.when, &format!("{field}.when"), Own::Absent);
    scope.predicates(&step.success, &format!("{field}.success"), Own::Present);
    if let Some(undo) = &step.undo {
        scope.over.insert(step.id.clone());
        scope.call(undo, &format!("{field}.undo.args"));
    }
}

/// Whether the step has an output of its own yet.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    Present,
    Absent,
}

struct Scope<'c> {
    plan: &'c Plan,
    step: &'c Step,
    /// Steps that are over by then.
    over: BTreeSet<StepId>,
    faults: &'c mut Faults,
}

impl Scope<'_> {
    fn call(&mut self, call: &Call, field: &str) {
        let found = match reference::references(&call.args) {
            Ok(found) => found,
            Err(error) => {
                let hint = Some("write \"$${\" for a literal \"${\"".to_owned());
                self.faults.add(
                    field,
                    error.to_string(),
                    "references such as ${disk.out.used_percent}",
                    hint,
                );
                return;
            }
        };
        for reference in found {
            let place = format!("{field}.{}", reference.place);
            if let Some(why) = fixed(call.tool, &reference.place) {
                self.faults.add(&place, format!("${{{}}}", reference.name), why, None);
                continue;
            }
            let Some(given) = self.given(&place, &reference.name) else { continue };
            let name = reference.place.split(['[', '.']).next().unwrap_or_default();
            let wanted = call.tool.signature().arg(name).map_or(Type::Any, |arg| arg.kind);
            let is_item = reference.place.len() > name.len();
            let fits = if reference.is_whole && !is_item { wanted.takes(given) } else { given.is_scalar() };
            if !fits {
                let found = format!("${{{}}}, which is {}", reference.name, given.expected());
                let expected =
                    if is_item { "a text, a number or a truth value".to_owned() } else { wanted.expected() };
                self.faults.add(&place, found, expected, None);
            }
        }
    }

    /// The type of what a reference stands for.
    fn given(&mut self, place: &str, name: &str) -> Option<Type> {
        if matches!(name, NODE | RUN) {
            return Some(Type::Name);
        }
        let subject = match Subject::parse(name) {
            Ok(subject) if subject.step.is_some() => subject,
            Ok(_) | Err(_) => {
                let expected = "a reference such as ${disk.out.used_percent}, ${node} or ${run}";
                self.faults.add(place, format!("${{{name}}}"), expected, None);
                return None;
            }
        };
        self.subject(place, &format!("${{{name}}}"), &subject)
    }

    fn subject(&mut self, place: &str, shown: &str, subject: &Subject) -> Option<Type> {
        let step = match &subject.step {
            None => self.step,
            Some(id) => self.over(place, shown, id)?,
        };
        let tool = step.call.tool;
        let Some(first) = subject.path.first() else { return Some(Type::Any) };
        let Some(kind) = tool.signature().out_type(first) else {
            let names = || tool.signature().out.iter().map(|(name, _)| *name);
            let expected = format!("an output of {tool}: {}", names().collect::<Vec<_>>().join(", "));
            self.faults.guess(place, shown, expected, first, names());
            return None;
        };
        match (kind, subject.path.len()) {
            (kind, 1) => Some(kind),
            (Type::Any, _) => Some(Type::Any),
            (Type::Map, 2) => Some(Type::Text),
            (Type::Texts | Type::Paths, 2) if subject.path[1].parse::<usize>().is_ok() => Some(Type::Text),
            _ => {
                let expected = format!("nothing below {first}, which is {}", kind.expected());
                self.faults.add(place, shown, expected, None);
                None
            }
        }
    }

    /// The step, if it is over before this one begins.
    fn over(&mut self, place: &str, shown: &str, id: &StepId) -> Option<&'_ Step> {
        let Some(step) = self.plan.step(id) else {
            let names = self.plan.steps.iter().map(|step| step.id.as_str());
            self.faults.guess(place, shown, "a step of the plan", id.as_str(), names);
            return None;
        };
        if !self.over.contains(id) {
            let hint = (step.id != self.step.id).then(|| format!("add {id:?} to needs", id = id.as_str()));
            self.faults.add(place, shown, "a step that is over before this one begins", hint);
            return None;
        }
        Some(step)
    }

    fn predicates(&mut self, predicates: &[Predicate], field: &str, own: Own) {
        for (index, predicate) in predicates.iter().enumerate() {
            let place = format!("{field}[{index}]");
            if own == Own::Absent && matches!(predicate, Predicate::Exit(_)) {
                self.faults.add(
                    &place,
                    predicate.to_string(),
                    "a claim about earlier steps or the node",
                    None,
                );
            }
            let Some(subject) = predicate.subject() else { continue };
            if own == Own::Absent && subject.step.is_none() {
                let expected = "an earlier step's output, such as disk.out.used_percent";
                self.faults.add(&place, subject.to_string(), expected, None);
                continue;
            }
            let Some(given) = self.subject(&place, &subject.to_string(), subject) else { continue };
            if let Some(wanted) = wanted(predicate).filter(|wanted| !fits(*wanted, given)) {
                self.faults.add(
                    &place,
                    format!("{subject}, which is {}", given.expected()),
                    wanted.expected(),
                    None,
                );
            }
        }
    }
}

/// The type that a predicate is about.
fn wanted(predicate: &Predicate) -> Option<Type> {
    match predicate {
        Predicate::Contains { .. } | Predicate::Lacks { .. } | Predicate::Matches { .. } => Some(Type::Text),
        Predicate::Number { .. } => Some(Type::Number),
        Predicate::Count { .. }
        | Predicate::Equals { .. }
        | Predicate::Present { .. }
        | Predicate::Exit(_)
        | Predicate::File { .. }
        | Predicate::Service { .. } => None,
    }
}

fn fits(wanted: Type, given: Type) -> bool {
    match wanted {
        Type::Number => matches!(given, Type::Number | Type::Integer { .. } | Type::Text | Type::Any),
        _ => matches!(given, Type::Text | Type::Name | Type::Path | Type::Url | Type::Any),
    }
}

/// What no output may decide: which program runs, what a shell does, which host is spoken to, what a model may use.
fn fixed(tool: Tool, place: &str) -> Option<&'static str> {
    match (tool, place) {
        (Tool::ExecArgv, "argv[0]") => Some("a program that is written out"),
        (Tool::ExecShell, "script") => Some("a script without references; pass values as words of exec.argv"),
        (Tool::HttpGet | Tool::HttpPost | Tool::VerifyHttp | Tool::ExecArgv | Tool::ExecShell, place)
            if place.starts_with("domains") =>
        {
            Some("host names that are written out")
        }
        (Tool::ExecArgv, place) if place.starts_with("env") => Some("variables that are written out"),
        (Tool::LlmAsk, place) if place.starts_with("tools") => Some("tools that are written out"),
        _ => None,
    }
}
