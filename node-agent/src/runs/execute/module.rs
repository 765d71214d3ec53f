//! `module.*` but its actions: changes of deployments are the coordinator's to make, asked for through whoever follows the run. It knows a
//! second delivery by its key, so the same need is told again after a restart of the agent.

use proto::v1::need;
use serde_json::Value;

use super::{Errand, Outcome};
use crate::runs::live::{ModuleReply, Reply};

pub async fn run(errand: &Errand) -> Outcome {
    let call_json = match serde_json::to_string(&errand.call) {
        Ok(json) => json,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let module = need::Module { call_json, key: errand.key.clone() };
    let need = errand.need("module", need::Need::Module(module));
    let id = need.id.clone();
    let reply = errand.live.open_need(need);
    tokio::select! {
        reply = reply => match reply {
            Ok(Reply::Module(reply)) => outcome(errand, reply),
            _ => errand.lost("nobody told what became of it"),
        },
        why = errand.stop.over() => {
            errand.live.withdraw(&id);
            // The coordinator may be at it.
            errand.lost(why)
        }
    }
}

fn outcome(errand: &Errand, reply: ModuleReply) -> Outcome {
    match reply {
        ModuleReply::Done { out_json } => match serde_json::from_str::<Value>(&out_json) {
            Ok(out @ Value::Object(_)) => Outcome::Returned(out),
            Ok(_) | Err(_) => errand.lost("what the coordinator told of it cannot be read"),
        },
        ModuleReply::NotDone(why) => Outcome::Failed(why),
        ModuleReply::Unknown(why) => Outcome::Unknown(why),
    }
}
