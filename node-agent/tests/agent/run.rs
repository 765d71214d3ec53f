//! Runs of plans as a coordinator sees them: begun, followed, answered.

use plan::plan::Plan;
use plan::policy::Policy;
use plan::receipt::{self, Fact, Receipt, Subject};
use plan::run::event::{Ending, Event, Record};
use plan::validate::Surroundings;
use proto::v1::run_input::Input;
use proto::v1::run_output::Output;
use proto::v1::runs_client::RunsClient;
use proto::v1::{ApprovalAnswer, Attach, BeginRunRequest, CancelRun, Need, RunInput, RunOutput};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::fleet::Badge;
use crate::node::{LIMIT, Node};

pub type Client = RunsClient<Channel>;

impl Node {
    pub async fn runs(&self) -> Client {
        let begin = std::time::Instant::now();
        loop {
            match self.fleet.channel(&self.address(), "pi", Badge::default()).await {
                Ok(channel) => return RunsClient::new(channel),
                Err(error) => assert!(begin.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

pub fn plan(steps: &str) -> Plan {
    let text = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 1000, time: 1h, steps: 50}}\nsteps:\n{steps}\n"
    );
    let parsed = Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default());
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

/// Begins a plan under the standard policy.
pub fn request(run: &str, plan: &Plan) -> BeginRunRequest {
    with_policy(run, plan, &Policy::standard())
}

pub fn with_policy(run: &str, plan: &Plan, policy: &Policy) -> BeginRunRequest {
    BeginRunRequest {
        run: run.to_owned(),
        plan_json: plan.canonical(),
        plan_hash: plan.hash().to_string(),
        policy_json: serde_json::to_string(policy).expect("JSON"),
        approval_timeout_ms: 60_000,
        ..Default::default()
    }
}

/// One who follows a run.
pub struct Follower {
    pub say: mpsc::Sender<RunInput>,
    output: tonic::Streaming<RunOutput>,
    pub records: Vec<Record>,
    pub receipts: Vec<Receipt>,
    pub needs: Vec<Need>,
    pub printed: String,
}

impl Follower {
    pub async fn attach(client: &mut Client, run: &str) -> Self {
        Self::try_attach(client, run).await.expect("followed")
    }

    pub async fn try_attach(client: &mut Client, run: &str) -> Result<Self, tonic::Status> {
        let (say, receiver) = mpsc::channel(8);
        let attach = Attach { run: run.to_owned(), ..Default::default() };
        say.send(input(Input::Attach(attach))).await.expect("sent");
        let output = client.follow(ReceiverStream::new(receiver)).await?.into_inner();
        let (records, receipts, needs) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { say, output, records, receipts, needs, printed: String::new() })
    }

    /// Takes the next output; false at the end of the stream, or when the agent has gone.
    pub async fn next(&mut self) -> bool {
        let message = tokio::time::timeout(LIMIT, self.output.message()).await;
        let Ok(message) = message else { panic!("nothing comes; so far {:#?}", self.events()) };
        let Ok(Some(RunOutput { output: Some(output) })) = message else { return false };
        match output {
            Output::Record(record) => {
                assert_eq!(record.number, self.records.len() as u64);
                self.records.push(serde_json::from_str(&record.json).expect("a record"));
            }
            Output::Receipt(receipt) => {
                self.receipts.push(serde_json::from_str(&receipt.json).expect("a receipt"));
            }
            Output::Need(need) => self.needs.push(need),
            Output::Printed(printed) => self.printed.push_str(&printed.text),
        }
        true
    }

    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            assert!(self.next().await, "the stream ended before: {what}; {:#?}", self.events());
        }
    }

    pub async fn event(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Event {
        self.until(what, |follower| follower.records.iter().any(|record| is_it(&record.event))).await;
        let found = self.records.iter().find(|record| is_it(&record.event));
        found.expect("found").event.clone()
    }

    /// Follows to the end; how it ended.
    pub async fn ending(&mut self) -> Ending {
        while self.next().await {}
        match self.records.last().map(|record| &record.event) {
            Some(Event::Ended { ending }) => ending.clone(),
            other => panic!("no ending but {other:?}"),
        }
    }

    pub async fn answer(&self, said: Input) {
        self.say.send(input(said)).await.expect("sent");
    }

    /// Waits until a step asks for approval, and answers.
    pub async fn approve(&mut self, step: &str, approved: bool) -> String {
        let asked = self.event(
            "a request",
            |event| matches!(event, Event::Asked { step: id, .. } if id.as_str() == step),
        );
        let Event::Asked { request, .. } = asked.await else { panic!("no request") };
        let answer = ApprovalAnswer {
            step: step.to_owned(),
            request: request.digest().to_string(),
            approved,
            by: "ada".to_owned(),
        };
        self.answer(Input::Approval(answer)).await;
        request.shown
    }

    pub async fn cancel(&self) {
        self.answer(Input::Cancel(CancelRun { by: "ada".to_owned() })).await;
    }

    pub fn events(&self) -> Vec<String> {
        self.records.iter().map(|record| shown(&record.event)).collect()
    }

    /// What a step gave.
    pub fn out(&self, wanted: &str) -> serde_json::Value {
        let found = self.records.iter().find_map(|record| match &record.event {
            Event::Returned { step, out, .. } if step.as_str() == wanted => Some(out.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{wanted} gave nothing: {:#?}", self.events()))
    }

    /// Why a step was not done.
    pub fn why(&self, wanted: &str) -> String {
        let found = self.records.iter().rev().find_map(|record| match &record.event {
            Event::Failed { step, why, .. }
            | Event::Unknown { step, why, .. }
            | Event::Forbidden { step, why }
            | Event::NotNeeded { step, why }
            | Event::Skipped { step, why }
                if step.as_str() == wanted =>
            {
                Some(why.clone())
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("nothing is said of {wanted}: {:#?}", self.events()))
    }

    /// Checks the chain of receipts with the node's key.
    pub fn verify(&self, plan: &Plan, run: &str, key: &[u8]) {
        let subject = Subject { run, node: "pi", plan: &plan.hash() };
        let verified = receipt::verify(&subject, &self.receipts, key).expect("good receipts");
        assert!(verified.is_complete, "{:?}", self.receipts.last());
        let attempts = self.records.iter().filter(|record| matches!(record.event, Event::Started { .. }));
        let told = self.receipts.iter().filter(|receipt| matches!(receipt.fact, Fact::Step { .. }));
        assert_eq!(attempts.count(), told.count(), "every attempt has its receipt");
    }
}

pub fn input(input: Input) -> RunInput {
    RunInput { input: Some(input) }
}

fn shown(event: &Event) -> String {
    serde_json::to_string(event).expect("JSON").chars().take(400).collect()
}
