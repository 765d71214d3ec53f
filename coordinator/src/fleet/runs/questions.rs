//! What runs ask people, and what people answer. An answer counts when the node has written it down.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use modules::digest::Digest;
use plan::approval::Request;
use plan::policy::look;
use plan::policy::remember::{Remembered, propose};
use plan::run::event::Work;
use plan::step::Call;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::answer_question_request::Answer;
use proto::v1::run_input::Input;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::attend::INPUTS;
use super::live::{LiveRun, State};
use super::shown;
use crate::clock::UnixMillis;
use crate::domain::follow::taken::was_taken;
use crate::domain::follow::{Kind, Question};
use crate::domain::runs::RunRecord;
use crate::fault;
use crate::fleet::plans::PlansError;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::Txn;
use crate::store::json::{list_json, put_json};

/// How long nodes are given to tell what they ask.
const HEAR: Duration = Duration::from_secs(4);
/// How long a node is given to write an answer down.
const ANSWER: Duration = Duration::from_secs(15);
const DAY: UnixMillis = 24 * 3600 * 1000;
const REMEMBERED_DAYS: UnixMillis = 30;

impl Fleet {
    /// Everything that people are asked now.
    pub async fn list_questions(
        self: &Arc<Self>,
        request: &v1::ListQuestionsRequest,
    ) -> Result<v1::ListQuestionsReply, FleetError> {
        let mut reply = v1::ListQuestionsReply::default();
        for live in self.open_runs(&request.run).await? {
            live.see(|state| {
                reply.questions.extend(shown::questions(state, &live.plan));
                reply.unreached.extend(unreached(state));
            });
        }
        Ok(reply)
    }

    /// The runs that go on, once their nodes have told what they know.
    async fn open_runs(self: &Arc<Self>, name: &str) -> Result<Vec<Arc<LiveRun>>, FleetError> {
        let records: Vec<RunRecord> = if name.is_empty() {
            let kept = list_json::<RunRecord>(self.store.as_ref(), keys::RUNS).await?.entries;
            kept.into_iter().map(|kept| kept.value).collect()
        } else {
            vec![self.find_run(name).await?.value]
        };
        let mut open = Vec::new();
        for record in records.iter().filter(|record| record.ended.is_none()) {
            open.push(self.follow_here(&record.id).await?);
        }
        join_all(open.iter().map(|live| live.heard(HEAR))).await;
        Ok(open)
    }

    /// Gives an answer to the node that asked, and waits until it has written it down.
    ///
    /// # Errors
    /// Where nobody asks that, or the node cannot be told.
    pub async fn answer_question(
        self: &Arc<Self>,
        request: &v1::AnswerQuestionRequest,
    ) -> Result<v1::AnswerQuestionReply, FleetError> {
        let (live, node, question) = self.find_question(&request.id).await?;
        let asked = live.see(|state| {
            shown::questions(state, &live.plan).into_iter().find(|open| open.id.starts_with(&request.id))
        });
        let input = input(&question, request.answer.as_ref(), &self.by)?;
        let rule = match (&request.remember, &question.kind) {
            (Some(remember), Kind::Approval(asked)) => Some(self.rule(&live, &node, asked, remember)?),
            (Some(_), Kind::Unknown { .. } | Kind::Human { .. }) => {
                return Err(invalid("only an approval can be remembered", ""));
            }
            (None, _) => None,
        };
        fault::point("run.answer");
        self.deliver_answer(&live, &node, &question, input).await?;
        if let Some(given) = &request.answer {
            self.check_taken(&live, &node, &question, given)?;
        }
        fault::point("run.answered");
        let mut remembered = String::new();
        if let Some(rule) = rule {
            remembered = rule.pattern();
            self.remember(&rule).await?;
        }
        Ok(v1::AnswerQuestionReply { question: asked, remembered })
    }

    async fn find_question(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<(Arc<LiveRun>, NodeName, Question), FleetError> {
        if id.len() < 3 {
            return Err(PlansError::NoSuchQuestion { id: id.to_owned() }.into());
        }
        let mut found = Vec::new();
        for live in self.open_runs("").await? {
            let run = live.record().id;
            let here = live.see(State::questions);
            let here = here.into_iter().filter(|(node, question)| question.id(&run, node).starts_with(id));
            found.extend(here.map(|(node, question)| (Arc::clone(&live), node, question)));
        }
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(invalid("several questions begin so", "write more of its id")),
            (None, _) => Err(PlansError::NoSuchQuestion { id: id.chars().take(80).collect() }.into()),
        }
    }

    async fn deliver_answer(
        self: &Arc<Self>,
        live: &LiveRun,
        node: &NodeName,
        question: &Question,
        input: Input,
    ) -> Result<(), FleetError> {
        let agent = self.dial(&self.node(node).await?).await?;
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let attach = live.see(|state| state.nodes.get(node).map(|node| node.followed.attach()));
        for input in [attach.map(Input::Attach), Some(input)] {
            let _ = inputs.send(v1::RunInput { input }).await;
        }
        let mut outputs = agent.follow_run(receiver).await?;
        let deadline = Instant::now() + ANSWER;
        let mut changes = live.changes();
        while is_open(live, node, question) {
            let heard = timeout_at(deadline, async {
                tokio::select! {
                    _ = changes.changed() => Ok(true),
                    output = outputs.next() => match output {
                        Some(Ok(_)) => Ok(true),
                        Some(Err(error)) => Err(error),
                        // The run is over there; what is known of it comes by the way of its attendant.
                        None => {
                            let _ = changes.changed().await;
                            Ok(true)
                        }
                    },
                }
            });
            match heard.await {
                Ok(heard) => heard?,
                Err(_) => return Err(PlansError::NotHeard { node: node.clone() }.into()),
            };
        }
        Ok(())
    }

    /// The question is closed: by this answer, or did something else come first?
    fn check_taken(
        &self,
        live: &LiveRun,
        node: &NodeName,
        question: &Question,
        given: &Answer,
    ) -> Result<(), FleetError> {
        let taken = live.see(|state| {
            let records = state.nodes.get(node).map_or(&[][..], |node| &node.followed.records);
            was_taken(records, question, given, &self.by)
        });
        taken.map_err(|first| {
            PlansError::Overtaken { step: question.step.clone(), node: node.clone(), first }.into()
        })
    }

    /// The rule that a yes is remembered by.
    fn rule(
        &self,
        live: &LiveRun,
        node: &NodeName,
        asked: &Request,
        remember: &v1::answer_question_request::Remember,
    ) -> Result<Remembered, FleetError> {
        let argv = live.see(|state| argv(state, node, asked));
        let argv = argv.ok_or_else(|| {
            invalid("only commands (exec.argv) can be remembered", "approve it without --remember")
        })?;
        let effect =
            live.plan.step(&asked.step).map_or(modules::effect::Effect::Destructive, |step| step.effect);
        let rule = propose(&argv, remember.open as usize, effect);
        let rule = rule.map_err(|error| invalid(&error.to_string(), "approve it without --remember"))?;
        let valid = match UnixMillis::try_from(remember.valid_ms) {
            Ok(0) | Err(_) => REMEMBERED_DAYS * DAY,
            Ok(valid) => valid,
        };
        Ok(Remembered {
            rule,
            node: (!remember.every_node).then(|| node.to_string()),
            by: self.by.clone(),
            until_ms: u64::try_from(self.clock.now().saturating_add(valid)).unwrap_or_default(),
        })
    }

    async fn remember(&self, rule: &Remembered) -> Result<(), FleetError> {
        let id = remembered_id(rule);
        self.store.commit(Txn::new().then(put_json(keys::remembered(&id), rule)?)).await?;
        Ok(())
    }
}

/// A short name for what is remembered.
pub(in crate::fleet) fn remembered_id(rule: &Remembered) -> String {
    let node = rule.node.as_deref().unwrap_or_default();
    Digest::of(format!("{}\n{node}\n{}", rule.pattern(), rule.until_ms).as_bytes()).hex()[..10].to_owned()
}

fn is_open(live: &LiveRun, node: &NodeName, question: &Question) -> bool {
    let same = |open: &Question| match (&open.kind, &question.kind) {
        (Kind::Human { need, .. }, Kind::Human { need: asked, .. }) => need == asked,
        (one, other) => one == other,
    };
    live.see(|state| {
        let node = state.nodes.get(node);
        node.is_some_and(|node| node.questions().iter().any(|open| open.step == question.step && same(open)))
    })
}

fn unreached(state: &State) -> Vec<String> {
    let begun = state.nodes.iter().filter(|(_, node)| node.kept.is_some() && !node.is_over());
    begun.filter_map(|(name, node)| Some(format!("{name}: {}", node.away.as_ref()?.0))).collect()
}

/// The words of the command that is asked about, with its values, its program bound to a path.
fn argv(state: &State, node: &NodeName, asked: &Request) -> Option<Vec<String>> {
    let run = state.nodes.get(node)?.followed.state.as_ref()?;
    let step = run.plan.step(&asked.step)?;
    let call = Call { tool: step.call.tool, args: run.args(&asked.step).ok()? };
    let request = Request::new(asked.plan, asked.step.clone(), &asked.node, &call, asked.expires_ms);
    if !request.is_same(asked) {
        return None;
    }
    let words = call.args.get("argv")?.as_array()?;
    let mut argv: Vec<String> = words.iter().filter_map(|word| word.as_str()).map(str::to_owned).collect();
    let program = argv.first_mut()?;
    *program = look::assumed(program)?.found;
    Some(argv)
}

/// The answer as the node takes it.
fn input(question: &Question, answer: Option<&Answer>, by: &str) -> Result<Input, FleetError> {
    let (step, by) = (question.step.to_string(), by.to_owned());
    match (&question.kind, answer) {
        (Kind::Approval(request), Some(Answer::Approve(approved))) => {
            let request = request.digest().to_string();
            Ok(Input::Approval(v1::ApprovalAnswer { step, request, approved: *approved, by }))
        }
        (Kind::Unknown { attempt, work, .. }, Some(Answer::Known(answer))) => {
            if !["done", "not_done", "stop"].contains(&answer.as_str()) {
                return Err(invalid("that is no answer", "say done, not-done or stop"));
            }
            let work = if *work == Work::Do { "do" } else { "undo" };
            let (attempt, work, answer) = (*attempt, work.to_owned(), answer.clone());
            Ok(Input::Unknown(v1::UnknownAnswer { step, attempt, work, answer, by }))
        }
        (Kind::Human { need, options, .. }, Some(Answer::Text(text))) => {
            let is_allowed = if options.is_empty() {
                ["yes", "no"].contains(&text.as_str())
            } else {
                options.contains(text)
            };
            if !is_allowed {
                let options = if options.is_empty() { "yes, no".to_owned() } else { options.join(", ") };
                return Err(invalid("that is none of the answers", &format!("say one of: {options}")));
            }
            Ok(Input::Human(v1::HumanAnswer { need: need.clone(), answer: text.clone(), by }))
        }
        (Kind::Approval(_), _) => {
            Err(invalid("it asks for an approval", "`orchestrator approval approve` or `deny` answers it"))
        }
        (Kind::Unknown { .. }, _) => Err(invalid(
            "it asks whether something was done",
            "`orchestrator run answer RUN STEP done|not-done|stop` answers it",
        )),
        (Kind::Human { .. }, _) => {
            Err(invalid("it is a question of the plan", "`orchestrator run answer RUN STEP TEXT` answers it"))
        }
    }
}

fn invalid(message: &str, hint: &str) -> FleetError {
    FleetError::Invalid { message: message.to_owned(), hint: (!hint.is_empty()).then(|| hint.to_owned()) }
}
