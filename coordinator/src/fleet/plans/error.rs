//! Why a plan or its run could not be had as asked.

use modules::digest::Digest;
use modules::spec::error::SpecErrors;
use plan::fault::Faults;
use plan::step::StepId;
use proto::code::Code;
use proto::ids::NodeName;

use crate::domain::runs::RunId;

#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    #[error("the plan is not valid:\n{errors}")]
    Unreadable { errors: SpecErrors },
    #[error("the plan does not hold together:\n{faults}")]
    Faulty { faults: Faults },
    #[error("the policy is not valid:\n{errors}")]
    Policy { errors: SpecErrors },
    #[error("no plan is named {name}")]
    NoSuchPlan { name: String },
    #[error("{count} plans begin with {name}")]
    SeveralPlans { name: String, count: usize },
    #[error("the plan is for {nodes}, and no node of the fleet is one")]
    NoNodes { nodes: String },
    #[error("nobody has approved plan {}", plan.short())]
    NotApproved { plan: Digest, was: bool },
    #[error("the plan may not run:\n{problems}")]
    MayNotRun { problems: String },
    #[error("the plan has no step {step}")]
    NoSuchStep { step: String },
    #[error("no run is named {name}")]
    NoSuchRun { name: String },
    #[error("{count} runs begin with {name}")]
    SeveralRuns { name: String, count: usize },
    #[error("run {run} has ended")]
    RunEnded { run: RunId },
    #[error("nobody asks {id}")]
    NoSuchQuestion { id: String },
    #[error("{node} was told, and did not say that it has written the answer down")]
    NotHeard { node: NodeName },
    #[error("the answer for {step} on {node} came too late: {first}")]
    Overtaken { step: StepId, node: NodeName, first: String },
    #[error("nothing is remembered as {id}")]
    NotRemembered { id: String },
}

impl PlansError {
    pub fn code(&self) -> Code {
        match self {
            PlansError::Unreadable { .. }
            | PlansError::Faulty { .. }
            | PlansError::Policy { .. }
            | PlansError::SeveralPlans { .. }
            | PlansError::NoNodes { .. }
            | PlansError::NotApproved { .. }
            | PlansError::MayNotRun { .. }
            | PlansError::NoSuchStep { .. }
            | PlansError::SeveralRuns { .. } => Code::InvalidInput,
            PlansError::NoSuchPlan { .. }
            | PlansError::NoSuchRun { .. }
            | PlansError::NoSuchQuestion { .. }
            | PlansError::NotRemembered { .. } => Code::NotFound,
            PlansError::RunEnded { .. } | PlansError::Overtaken { .. } => Code::Conflict,
            PlansError::NotHeard { .. } => Code::TimedOut,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            PlansError::NotApproved { plan, was } => {
                let why = if *was { "its approval has ended; " } else { "" };
                return Some(format!("{why}`orchestrator plan approve {}` says yes to it", plan.short()));
            }
            PlansError::MayNotRun { .. } => {
                "change it, name other nodes, or look at `orchestrator policy show`"
            }
            PlansError::NoSuchStep { .. } => "`orchestrator plan show` names its steps",
            PlansError::NoSuchRun { .. } => "`orchestrator run list` shows all",
            PlansError::SeveralRuns { .. } => "write more of its name; `orchestrator run list` shows all",
            PlansError::NoSuchQuestion { .. } => {
                "it was answered, or its time is up: `orchestrator approval list` shows what is open"
            }
            PlansError::Overtaken { .. } => {
                "nothing was remembered; `orchestrator run show RUN` tells how it went"
            }
            PlansError::NotHeard { .. } => "`orchestrator approval list` shows whether it is still asked",
            PlansError::NotRemembered { .. } => "`orchestrator approval remembered` shows all",
            PlansError::NoSuchPlan { .. } => {
                "`orchestrator plan list` shows all; a file is written ./plan.yaml"
            }
            PlansError::SeveralPlans { .. } => "write more of its hash; `orchestrator plan list` shows all",
            PlansError::NoNodes { .. } => "`orchestrator node list` shows names, labels and capabilities",
            PlansError::Unreadable { .. }
            | PlansError::Faulty { .. }
            | PlansError::Policy { .. }
            | PlansError::RunEnded { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
