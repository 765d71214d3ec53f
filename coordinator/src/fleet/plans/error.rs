//! Why a plan or its run could not be had as asked.

use modules::spec::error::SpecErrors;
use plan::fault::Faults;
use proto::code::Code;

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
}

impl PlansError {
    pub fn code(&self) -> Code {
        match self {
            PlansError::Unreadable { .. }
            | PlansError::Faulty { .. }
            | PlansError::Policy { .. }
            | PlansError::SeveralPlans { .. }
            | PlansError::NoNodes { .. } => Code::InvalidInput,
            PlansError::NoSuchPlan { .. } => Code::NotFound,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            PlansError::NoSuchPlan { .. } => {
                "`orchestrator plan list` shows all; a file is written ./plan.yaml"
            }
            PlansError::SeveralPlans { .. } => "write more of its hash; `orchestrator plan list` shows all",
            PlansError::NoNodes { .. } => "`orchestrator node list` shows names, labels and capabilities",
            PlansError::Unreadable { .. } | PlansError::Faulty { .. } | PlansError::Policy { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
