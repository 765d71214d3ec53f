//! Attends to one node of a run: has its agent take it, follows what happens, says what has to be said, and keeps the
//! journal when it is over. A connection that breaks is made anew, and goes on where it was.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use plan::plan::Plan;
use proto::code::Code;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::run_input::Input;
use proto::v1::run_output::Output;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::live::{LiveRun, Printed};
use super::needs;
use crate::agents::{AgentApi, AgentError, AgentStream};
use crate::domain::follow::Kind;
use crate::domain::runs::{RunRecord, Stage};
use crate::fault;
use crate::fleet::{Fleet, FleetError};
use error::VisitError;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Things to say that wait for the connection.
pub(super) const INPUTS: usize = 64;

/// Until the node's part of the run is over, and kept.
pub async fn attend(fleet: &Arc<Fleet>, live: &Arc<LiveRun>, node: &NodeName) {
    let mut attendant = Attendant {
        fleet: Arc::clone(fleet),
        live: Arc::clone(live),
        node: node.clone(),
        at_work: JoinSet::new(),
        answers: BTreeMap::new(),
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let known = attendant.known();
        let error = match attendant.visit().await {
            Ok(()) => return,
            Err(error) => error,
        };
        debug!(%node, %error, "a run is followed no more for now");
        if let Some(stage) = error.verdict() {
            match fleet.put_stage(live, node, &stage, None).await {
                Ok(()) => return,
                Err(error) => warn!(%node, %error, "could not write down how a run ended"),
            }
        } else if error.is_absence() {
            live.change_node(node, |known| known.away = Some((error.to_string(), Instant::now())));
        } else {
            warn!(%node, %error, "could not follow a run");
        }
        pause = if attendant.known() > known { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

struct Attendant {
    fleet: Arc<Fleet>,
    live: Arc<LiveRun>,
    node: NodeName,
    /// What is being got for the node.
    at_work: JoinSet<(String, Input)>,
    /// What was got, by the need's id; nothing while it is being got. Kept over connections: the node asks again.
    answers: BTreeMap<String, Option<Input>>,
}

impl Attendant {
    /// How much the node has told.
    fn known(&self) -> usize {
        let known =
            |followed: &crate::domain::follow::Followed| followed.records.len() + followed.receipts.len();
        self.live.see(|state| state.nodes.get(&self.node).map_or(0, |node| known(&node.followed)))
    }

    /// One connection, until the run is over on this node.
    async fn visit(&mut self) -> Result<(), VisitError> {
        let record = match self.fleet.node(&self.node).await {
            Err(FleetError::NoSuchNode { .. }) => {
                return Err(VisitError::Lost("it was removed from the fleet".to_owned()));
            }
            found => found?,
        };
        let agent = self.fleet.dial(&record).await?;
        let stage = self.live.see(|state| {
            state.nodes.get(&self.node).and_then(|node| node.kept.as_ref()).map(|kept| kept.stage.clone())
        });
        if stage == Some(Stage::Beginning) {
            self.begin(&*agent).await?;
        }
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let attach = self.live.see(|state| state.nodes.get(&self.node).map(|node| node.followed.attach()));
        let attach = v1::RunInput { input: attach.map(Input::Attach) };
        inputs.send(attach).await.map_err(|_| VisitError::HungUp)?;
        let outputs = agent.follow_run(receiver).await.map_err(lost)?;
        self.live.change_node(&self.node, |node| node.away = None);
        self.listen(outputs, &inputs).await?;
        self.keep().await
    }

    async fn begin(&self, agent: &dyn AgentApi) -> Result<(), VisitError> {
        let run = self.live.record();
        let request = self.fleet.begin_request(&run, &self.live.plan, &self.node).await?;
        fault::point("run.beginning");
        let reply = agent.begin_run(request).await.map_err(|error| {
            let is_final = !error.is_absence() && matches!(error, AgentError::Call { .. });
            if is_final { VisitError::Refused(error) } else { VisitError::Agent(error) }
        })?;
        fault::point("run.begun");
        self.fleet.pin_receipt_key(&self.node, &reply.receipt_key).await?;
        self.fleet.put_stage(&self.live, &self.node, &Stage::Running, None).await?;
        fault::point("run.running");
        info!(run = %run.id, node = %self.node, "a node has begun");
        Ok(())
    }

    async fn listen(
        &mut self,
        mut outputs: AgentStream<v1::RunOutput>,
        inputs: &mpsc::Sender<v1::RunInput>,
    ) -> Result<(), VisitError> {
        let mut changes: watch::Receiver<u64> = self.live.changes();
        let mut said = BTreeSet::new();
        loop {
            self.say(inputs, &mut said).await?;
            tokio::select! {
                output = outputs.next() => match output {
                    Some(output) => self.take(output.map_err(lost)?, inputs).await?,
                    None if self.is_over() => return Ok(()),
                    None => return Err(VisitError::HungUp),
                },
                Some(Ok((need, answer))) = self.at_work.join_next() => {
                    fault::point("run.answering");
                    self.live.change_node(&self.node, |node| node.being_met = node.being_met.saturating_sub(1));
                    self.answers.insert(need, Some(answer.clone()));
                    tell(inputs, answer).await?;
                }
                _ = changes.changed() => {}
            }
        }
    }

    fn is_over(&self) -> bool {
        self.live.see(|state| state.nodes.get(&self.node).is_some_and(|node| node.followed.is_over()))
    }

    /// Says what nobody asked for just now: that the run is cancelled, and approvals that were given beforehand.
    async fn say(
        &self,
        inputs: &mpsc::Sender<v1::RunInput>,
        said: &mut BTreeSet<String>,
    ) -> Result<(), VisitError> {
        if !self.live.is_ours() {
            return Ok(());
        }
        let due = self.live.see(|state| {
            let node = state.nodes.get(&self.node)?;
            Some(due(&state.record, node))
        });
        for (what, input) in due.unwrap_or_default() {
            if said.insert(what) {
                tell(inputs, input).await?;
            }
        }
        Ok(())
    }

    async fn take(
        &mut self,
        output: v1::RunOutput,
        inputs: &mpsc::Sender<v1::RunInput>,
    ) -> Result<(), VisitError> {
        match output.output {
            Some(Output::Record(record)) => {
                let taken = self
                    .live
                    .change_node(&self.node, |node| node.followed.take_record(record.number, &record.json));
                taken.unwrap_or(Ok(()))?;
                fault::point("run.record_seen");
            }
            Some(Output::Receipt(receipt)) => {
                let taken =
                    self.live.change_node(&self.node, |node| node.followed.take_receipt(&receipt.json));
                taken.unwrap_or(Ok(()))?;
            }
            Some(Output::Printed(printed)) => {
                let node = self.node.clone();
                // Nobody listening is no trouble.
                let _ = self.live.printed.send(Printed { node, step: printed.step, text: printed.text });
            }
            Some(Output::Need(need)) => self.meet(need, inputs).await?,
            None => {}
        }
        Ok(())
    }

    /// Gets what the node needs, once; people's answers come by another way.
    async fn meet(&mut self, need: v1::Need, inputs: &mpsc::Sender<v1::RunInput>) -> Result<(), VisitError> {
        if matches!(need.need, Some(v1::need::Need::Human(_))) {
            self.live.change_node(&self.node, |node| node.followed.questions.insert(need.id.clone(), need));
            return Ok(());
        }
        if !self.live.is_ours() {
            return Ok(());
        }
        match self.answers.get(&need.id) {
            Some(Some(answer)) => tell(inputs, answer.clone()).await,
            Some(None) => Ok(()),
            None => {
                self.answers.insert(need.id.clone(), None);
                self.live.change_node(&self.node, |node| node.being_met += 1);
                let (fleet, live, node) =
                    (Arc::clone(&self.fleet), Arc::clone(&self.live), self.node.clone());
                self.at_work.spawn(async move {
                    let answer = needs::meet(&fleet, &live, &node, &need).await;
                    (need.id, answer)
                });
                Ok(())
            }
        }
    }

    /// Keeps the journal and the receipts, then writes down that the node is over.
    async fn keep(&self) -> Result<(), VisitError> {
        let followed = self.live.see(|state| state.nodes.get(&self.node).map(|node| node.followed.clone()));
        let Some((followed, ending)) = followed.and_then(|followed| {
            let ending = followed.state.as_ref()?.ending.clone()?;
            Some((followed, ending))
        }) else {
            return Err(VisitError::HungUp);
        };
        let id = self.live.record().id;
        let archived = self.fleet.keep_journal(&id, &self.node, &followed).await?;
        fault::point("run.journal_kept");
        self.fleet.put_stage(&self.live, &self.node, &Stage::Ended { ending }, Some(&archived)).await?;
        fault::point("run.node_ended");
        Ok(())
    }
}

async fn tell(inputs: &mpsc::Sender<v1::RunInput>, input: Input) -> Result<(), VisitError> {
    let input = v1::RunInput { input: Some(input) };
    inputs.send(input).await.map_err(|_| VisitError::HungUp)
}

/// That the agent does not know the run, or cannot read it, is final.
fn lost(error: AgentError) -> VisitError {
    let is_final =
        |status: &tonic::Status| matches!(Code::from_grpc(status.code()), Code::NotFound | Code::Failed);
    match &error {
        AgentError::Call { status, .. } if is_final(status) => VisitError::Lost(status.message().to_owned()),
        _ => VisitError::Agent(error),
    }
}

/// What is to be said, each under a name so that it is said once in a connection.
fn due(record: &RunRecord, node: &super::live::Node) -> Vec<(String, Input)> {
    let Some(run) = node.followed.state.as_ref().filter(|run| run.ending.is_none()) else {
        return Vec::new();
    };
    let mut due = Vec::new();
    if let (Some(by), None) = (&record.cancelled_by, &run.cancelled_by) {
        due.push(("cancel".to_owned(), Input::Cancel(v1::CancelRun { by: by.clone() })));
    }
    for question in node.followed.questions() {
        if let (Kind::Approval(request), true) = (&question.kind, record.yes_to.contains(&question.step)) {
            let digest = request.digest().to_string();
            let answer = v1::ApprovalAnswer {
                step: question.step.to_string(),
                request: digest.clone(),
                approved: true,
                by: format!("{} beforehand", record.by),
            };
            due.push((digest, Input::Approval(answer)));
        }
    }
    due
}

impl Fleet {
    /// What an agent is told to begin.
    async fn begin_request(
        &self,
        run: &RunRecord,
        plan: &Plan,
        node: &NodeName,
    ) -> Result<v1::BeginRunRequest, FleetError> {
        let now = u64::try_from(self.clock.now()).unwrap_or_default();
        let policy = self.policy().await?.policy.with(&self.remembered().await?, node.as_str(), now);
        Ok(v1::BeginRunRequest {
            run: run.id.to_string(),
            plan_json: plan.canonical(),
            plan_hash: run.plan.to_string(),
            policy_json: serde_json::to_string(&policy).expect("a policy has only what JSON can hold"),
            dry_run: run.dry_run,
            approval_timeout_ms: run.approval_timeout_ms,
            low: self.models.own_of(node),
            secrets: Vec::new(),
        })
    }
}
