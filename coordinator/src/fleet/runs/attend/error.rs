//! Why a visit to a node ended before its part of the run was over, and what becomes of that.

use crate::agents::AgentError;
use crate::domain::follow::FollowError;
use crate::domain::runs::Stage;
use crate::fleet::FleetError;

/// Why a visit ended before the run was over.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("its agent does not take the run: {0}")]
    Refused(AgentError),
    #[error("its agent does not have the run any more: {0}")]
    Lost(String),
    #[error("what its agent tells is no run: {0}")]
    Nonsense(#[from] FollowError),
    #[error("the agent hung up")]
    HungUp,
}

impl VisitError {
    /// What becomes of the node's part where trying again is of no use.
    pub fn verdict(&self) -> Option<Stage> {
        match self {
            VisitError::Refused(_) => Some(Stage::Refused { why: self.to_string() }),
            VisitError::Lost(_) => Some(Stage::Lost { why: self.to_string() }),
            VisitError::Nonsense(FollowError::OtherRun | FollowError::NoRun(_)) => {
                Some(Stage::Lost { why: self.to_string() })
            }
            VisitError::Nonsense(
                FollowError::Gap { .. } | FollowError::Unreadable { .. } | FollowError::Receipt(_),
            )
            | VisitError::Fleet(_)
            | VisitError::Agent(_)
            | VisitError::HungUp => None,
        }
    }

    pub fn is_absence(&self) -> bool {
        match self {
            VisitError::Agent(error) => error.is_absence(),
            VisitError::Fleet(error) => error.is_absence(),
            VisitError::HungUp => true,
            VisitError::Refused(_) | VisitError::Lost(_) | VisitError::Nonsense(_) => false,
        }
    }
}
