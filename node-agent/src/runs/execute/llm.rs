//! `llm.ask` and `llm.decide`: a model thinks, within rounds, tools and effects that were approved with the step.
//!
//! What the model asks for is ruled on by the loop, then judged by the policy, and only then done, by the same code and in
//! the same sandbox as a step of its own. It is told what was refused; nobody is asked on its behalf.

use std::convert::Infallible;

use plan::policy::verdict::Decision;
use plan::run::low::{Loop, MAX_ROUNDS, RESULT_CAP, Ruling};
use plan::step::{Args, Call, Tier};
use plan::tool::Tool;
use proto::v1::need;
use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use super::{Errand, Outcome, cut};
use crate::runs::live::{Input, Reply};
use crate::runs::look::Node;

pub mod own;
mod wire;

use wire::{Answer, Conversation, Form, Wanted};

const MAX_TOKENS: u64 = 512;
const DECIDE_TOKENS: u64 = 256;

pub async fn run(errand: &Errand) -> Outcome {
    match errand.call.tool {
        Tool::LlmDecide => decide(errand).await,
        _ => ask(errand).await,
    }
    .unwrap_or_else(|outcome| outcome)
}

/// A conversation with tools, until the model answers.
async fn ask(errand: &Errand) -> Result<Outcome, Outcome> {
    let tools: Vec<Tool> = errand.texts("tools").iter().filter_map(|name| Tool::parse(name).ok()).collect();
    let rounds = errand.number("rounds").and_then(|rounds| u32::try_from(rounds).ok()).unwrap_or(MAX_ROUNDS);
    let mut bounds = Loop::new(&tools, &errand.texts("domains"), errand.step.effect, rounds);
    let most = errand.number("max_tokens").unwrap_or(MAX_TOKENS);
    let mut talk = Conversation::new(errand.text("prompt").unwrap_or_default(), &tools, Form::Text, most);
    let mut work = Work { errand, has_changed: false };
    for round in 1.. {
        let answer = work.next(&talk, round).await?;
        if answer.calls.is_empty() {
            return Ok(Outcome::Returned(told(errand, &answer.text, round)));
        }
        bounds.begin_round(answer.calls.len()).map_err(|why| work.stopped(&why))?;
        talk.take(&answer);
        for (index, wanted) in answer.calls.iter().enumerate() {
            let key = format!("{}-{round}-{index}", errand.key);
            let (text, is_error) = work.carry_out(&mut bounds, wanted, key).await?;
            talk.give(wanted, text, is_error);
        }
    }
    Err(work.stopped("no answer"))
}

/// One of the options, and why. An answer that is none of them is told to the model once.
async fn decide(errand: &Errand) -> Result<Outcome, Outcome> {
    const TRIES: u32 = 2;
    let options = errand.texts("options");
    let form = Form::Choice(options.clone());
    let mut talk = Conversation::new(errand.text("prompt").unwrap_or_default(), &[], form, DECIDE_TOKENS);
    let work = Work { errand, has_changed: false };
    for round in 1..=TRIES {
        let answer = work.next(&talk, round).await?;
        let json = wire::json_in(&answer.text);
        let field = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let choice = field("choice");
        if options.contains(&choice) {
            return Ok(Outcome::Returned(json!({"choice": choice, "why": capped(errand, &field("why"))})));
        }
        talk.take(&answer);
        talk.correct(&format!("\"choice\" must be one of {}", json!(options)));
    }
    Err(Outcome::Failed("the model chose none of the options".to_owned()))
}

fn told(errand: &Errand, text: &str, rounds: u32) -> Value {
    json!({"text": capped(errand, text), "json": wire::json_in(text), "rounds": rounds})
}

fn capped(errand: &Errand, text: &str) -> String {
    cut(text, errand.step.output_cap as usize).to_owned()
}

/// What has happened on the way.
struct Work<'e> {
    errand: &'e Errand,
    /// Something was done that must not be done twice.
    has_changed: bool,
}

impl Work<'_> {
    /// The model's next answer.
    async fn next(&self, talk: &Conversation, round: u32) -> Result<Answer, Outcome> {
        let errand = self.errand;
        let tier = if errand.tier == Tier::High { Tier::High } else { Tier::Low };
        let request = talk.request();
        let model = need::Model { tier: tier.as_str().to_owned(), request_json: request.to_string() };
        let need = errand.need(&format!("model-{round}"), need::Need::Model(model));
        let id = need.id.clone();
        let own = errand.terms.low.as_ref().filter(|_| tier == Tier::Low);
        // The coordinator keeps the budget where it is asked.
        let _turn = match own {
            Some(_) => Some(self.own_turn().await?),
            None => None,
        };
        let reply = match own {
            Some(_) => errand.live.open_own_need(need),
            None => errand.live.open_need(need),
        };
        let answering = async {
            if let Some(own) = own {
                let reply = own::ask(own, request).await;
                errand.live.hand_in(Input::Reply { need: id.clone(), reply }).await;
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            never = answering => match never {},
            reply = reply => match reply {
                Ok(Reply::Model { response: Ok(json), .. }) => {
                    Answer::parse(&json).map_err(|why| self.stopped(&why))
                }
                Ok(Reply::Model { response: Err(why), .. }) => Err(self.stopped(&format!("no model answered: {why}"))),
                _ => Err(self.stopped("no model answered")),
            },
            why = errand.stop.over() => {
                errand.live.withdraw(&id);
                Err(self.stopped(why))
            }
        }
    }

    /// The right to ask the node's own model, while the plan's budget has tokens left for it.
    async fn own_turn(&self) -> Result<MutexGuard<'_, ()>, Outcome> {
        let Errand { live, stop, .. } = self.errand;
        let turn = tokio::select! {
            turn = live.own_model.lock() => turn,
            why = stop.over() => return Err(self.stopped(why)),
        };
        match live.tokens_left() {
            0 => Err(self.stopped("the tokens in the budget of the plan are used up")),
            _ => Ok(turn),
        }
    }

    /// What a call gave, as the model is told it; and whether it is an error.
    async fn carry_out(
        &mut self,
        bounds: &mut Loop,
        wanted: &Wanted,
        key: String,
    ) -> Result<(String, bool), Outcome> {
        let call = match wanted.call() {
            Ok(call) => call,
            Err(why) => return Ok((why, true)),
        };
        match bounds.rule(&call) {
            Ruling::Do => {}
            Ruling::Refuse(why) => return Ok((why, true)),
            Ruling::Stop(why) => return Err(self.stopped(&why)),
        }
        let effect = match self.judge(&call) {
            Ok(effect) => effect,
            Err(why) => return Ok((why, true)),
        };
        let mut inner = Errand { call, effect, key, ..self.errand.clone() };
        inner.step.output_cap = inner.step.output_cap.min(RESULT_CAP);
        let outcome = inner.kept(inner.run_here().await);
        match outcome {
            Outcome::Returned(out) => {
                self.has_changed |= !effect.is_repeatable();
                Ok((cut(&out.to_string(), RESULT_CAP as usize).to_owned(), false))
            }
            Outcome::Failed(why) if self.errand.stop.is_over() => Err(self.stopped(&why)),
            Outcome::Failed(why) => Ok((why, true)),
            Outcome::Unknown(why) => Err(Outcome::Unknown(why)),
        }
    }

    /// What the call may change, if the policy allows it without asking anybody.
    fn judge(&self, call: &Call) -> Result<modules::effect::Effect, String> {
        let policy = &self.errand.terms.policy;
        let verdict = Node { policy, own: &self.errand.own }.with(|look| policy.judge(call, look));
        match verdict.decision {
            Decision::Allow if verdict.effect <= self.errand.step.effect => Ok(verdict.effect),
            Decision::Allow => {
                Err(format!("it is {}, this step may only {}", verdict.effect, self.errand.step.effect))
            }
            Decision::Ask => Err(format!("a person would have to approve it: {}", verdict.reason())),
            Decision::Forbid => Err(format!("forbidden: {}", verdict.reason())),
        }
    }

    /// What an end without an answer means.
    fn stopped(&self, why: &str) -> Outcome {
        match self.has_changed {
            true => Outcome::Unknown(format!("{why}; tools had changed something by then")),
            false => Outcome::Failed(why.to_owned()),
        }
    }
}

/// Arguments as a model wrote them.
fn args(text: &str) -> Result<Args, String> {
    if text.trim().is_empty() {
        return Ok(Args::new());
    }
    serde_json::from_str(text).map_err(|error| format!("the arguments are not a JSON object: {error}"))
}
