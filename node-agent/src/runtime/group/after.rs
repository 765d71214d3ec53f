//! What follows when the container of a service has ended.

use proto::v1::container_service::RestartPolicy;
use proto::v1::depends_on::Condition;

use super::plan::{Plan, ServicePlan};

/// How a container came to its end.
#[derive(Debug, Clone)]
pub struct Exit {
    pub code: i64,
    pub how: String,
    /// Starting it again would change nothing.
    pub is_hopeless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It has done what it was there for.
    Completed,
    /// It is started again, after a pause.
    Again,
    /// It ends its group, which may be started again.
    Ended,
    /// It ends its group, for good as far as the release goes.
    Failed,
}

pub fn after(group: &Plan, service: &ServicePlan, exit: &Exit) -> After {
    if exit.code == 0 && may_complete(group, service) {
        return After::Completed;
    }
    if exit.is_hopeless || service.restart == RestartPolicy::Never {
        return After::Failed;
    }
    // Also one that others wait for, such as a migration that finds no database yet: the deadline says when
    // that takes too long.
    if group.is_single() { After::Ended } else { After::Again }
}

/// Few files say of a service that it is to run on, so that is told from what is expected of it: what takes connections,
/// has a check, or is to be healthy for others, is of no use to anybody once it has ended.
fn may_complete(group: &Plan, service: &ServicePlan) -> bool {
    let is_awaited = |condition: Condition| {
        let mut waits = group.services.iter().flat_map(|other| &other.depends_on);
        waits.any(|wait| wait.service == service.name && wait.condition() == condition)
    };
    if service.is_one_shot {
        return true;
    }
    service.restart != RestartPolicy::Always && !service.serves && !is_awaited(Condition::Healthy)
}

#[cfg(test)]
mod tests {
    use proto::ids::{InstanceId, NodeName};
    use proto::v1::DependsOn;

    use super::*;
    use crate::content::Content;
    use crate::runtime::group::plan::Owner;

    const DB: usize = 0;
    const PREPARE: usize = 1;
    const WORKER: usize = 2;
    const WEB: usize = 3;

    fn service(name: &str, waits_for: &[(&str, Condition)]) -> ServicePlan {
        let depends_on = waits_for.iter().map(|(service, condition)| DependsOn {
            service: (*service).to_owned(),
            condition: (*condition).into(),
            optional: false,
        });
        ServicePlan {
            name: name.to_owned(),
            depends_on: depends_on.collect(),
            restart: RestartPolicy::OnFailure,
            ..ServicePlan::default()
        }
    }

    fn group(services: Vec<ServicePlan>) -> Plan {
        let owner = Owner {
            token: "t".to_owned(),
            node: NodeName::parse("pi").expect("a name"),
            id: InstanceId::parse("shop/0").expect("an id"),
        };
        let (content, digest) = (Content::UNKNOWN, String::new());
        Plan { owner, content, digest, services, networks: Vec::new() }
    }

    fn shop() -> Plan {
        let waits = [("db", Condition::Healthy), ("prepare", Condition::Completed)];
        let (mut prepare, mut web) = (service("prepare", &[]), service("web", &waits));
        (prepare.is_one_shot, web.serves) = (true, true);
        group(vec![service("db", &[]), prepare, service("worker", &[]), web])
    }

    fn check(group: &Plan, service: usize, code: i64, expected: After) {
        let exit = Exit { code, how: String::new(), is_hopeless: false };
        let service = &group.services[service];
        assert_eq!(after(group, service, &exit), expected, "{} with code {code}", service.name);
    }

    #[test]
    fn only_what_nobody_needs_to_run_on_has_completed_by_ending_well() {
        let shop = shop();
        check(&shop, PREPARE, 0, After::Completed);
        check(&shop, WORKER, 0, After::Completed);
        check(&shop, DB, 0, After::Again);
        check(&shop, WEB, 0, After::Again);
        check(&group(vec![service("main", &[])]), 0, 0, After::Completed);
        let mut server = service("main", &[]);
        server.serves = true;
        check(&group(vec![server]), 0, 0, After::Ended);
    }

    #[test]
    fn what_fails_is_tried_again_as_its_policy_says_also_where_others_wait_for_its_end() {
        let mut shop = shop();
        for service in [DB, PREPARE, WORKER, WEB] {
            check(&shop, service, 1, After::Again);
        }
        shop.services[PREPARE].restart = RestartPolicy::Never;
        check(&shop, PREPARE, 1, After::Failed);
        check(&shop, PREPARE, 0, After::Completed);
        check(&group(vec![service("main", &[])]), 0, 1, After::Ended);
        let exit = Exit { code: 1, how: String::new(), is_hopeless: true };
        assert_eq!(after(&shop, &shop.services[WEB], &exit), After::Failed);
    }
}
