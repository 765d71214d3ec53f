//! Several containers of one service: each a service of its own that also answers to the name of the first.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{ContainerService, DependsOn};

use crate::fleet::FleetError;

/// The services with as many of each as `counts` says; who waits for one of them waits for all.
///
/// # Errors
/// Where another service already has the name that a further container would get.
pub fn expand(
    services: Vec<ContainerService>,
    counts: &BTreeMap<String, u32>,
) -> Result<Vec<ContainerService>, FleetError> {
    let names: BTreeSet<String> = services.iter().map(|service| service.name.clone()).collect();
    let mut expanded = Vec::with_capacity(services.len());
    for mut service in services {
        for dependency in std::mem::take(&mut service.depends_on) {
            let further = further(&dependency.service, counts);
            let further = further.map(|service| DependsOn { service, ..dependency.clone() });
            let all: Vec<DependsOn> = std::iter::once(dependency.clone()).chain(further).collect();
            service.depends_on.extend(all);
        }
        for name in further(&service.name, counts) {
            if names.contains(&name) {
                let first = &service.name;
                let hint = Some(format!("rename the service {name:?}"));
                let message =
                    format!("a further container of {first:?} would be {name:?}, which is a service already");
                return Err(FleetError::Invalid { message, hint });
            }
            let mut copy = ContainerService { name, ..service.clone() };
            copy.aliases.push(service.name.clone());
            expanded.push(copy);
        }
        expanded.push(service);
    }
    Ok(expanded)
}

/// The names of the containers after the first.
fn further(name: &str, counts: &BTreeMap<String, u32>) -> impl Iterator<Item = String> {
    let count = counts.get(name).copied().unwrap_or(1);
    (2..=count).map(move |number| format!("{name}-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_containers_answer_to_the_first_name_and_are_waited_for() {
        let wait = |service: &str| DependsOn { service: service.to_owned(), ..Default::default() };
        let services = || {
            let worker =
                ContainerService { name: "worker".into(), image: "i:1".into(), ..Default::default() };
            let web = ContainerService {
                name: "web".into(),
                depends_on: vec![wait("worker")],
                ..Default::default()
            };
            vec![worker, web]
        };
        let counts = BTreeMap::from([("worker".to_owned(), 3)]);
        let expanded = expand(services(), &counts).expect("expanded");
        let names: Vec<&str> = expanded.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["worker-2", "worker-3", "worker", "web"]);
        assert_eq!(
            (expanded[1].image.as_str(), &expanded[1].aliases[..]),
            ("i:1", &["worker".to_owned()][..])
        );
        let waits: Vec<&str> = expanded[3].depends_on.iter().map(|wait| wait.service.as_str()).collect();
        assert_eq!(waits, ["worker", "worker-2", "worker-3"]);
        assert_eq!(expand(services(), &BTreeMap::new()).expect("as they are"), services());

        let mut clash = services();
        clash[1].name = "worker-2".into();
        let told = expand(clash, &counts).expect_err("a clash").to_string();
        assert!(told.contains("\"worker-2\""), "{told}");
    }
}
