//! The actions of a module, as its node is told.

use modules::effect::Effect;
use modules::spec::action::{Action, Argument};
use proto::v1;

use super::millis;

pub fn wire(action: &Action) -> v1::Action {
    v1::Action {
        command: action.command.clone(),
        effect: effect(action.effect).into(),
        timeout_ms: millis(action.timeout),
        args: action
            .args
            .iter()
            .map(|(name, argument)| (name.to_string(), self::argument(argument)))
            .collect(),
        description: action.description.clone(),
    }
}

fn argument(argument: &Argument) -> v1::Argument {
    v1::Argument {
        r#type: argument.kind.as_str().to_owned(),
        values: argument.values.clone(),
        default: argument.default.clone(),
        required: argument.required,
        description: argument.description.clone(),
    }
}

fn effect(effect: Effect) -> v1::Effect {
    match effect {
        Effect::Read => v1::Effect::Read,
        Effect::Idempotent => v1::Effect::Idempotent,
        Effect::Reversible => v1::Effect::Reversible,
        Effect::Destructive => v1::Effect::Destructive,
    }
}
