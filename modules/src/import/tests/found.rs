//! What an import found, in the shapes that tests compare.

use crate::import::Import;

pub fn image(import: &Import) -> Option<&str> {
    import.facts.image.as_ref().map(|found| found.value.as_str())
}

pub fn description(import: &Import) -> &str {
    import.facts.description.as_ref().map_or("", |found| found.value.as_str())
}

pub fn license(import: &Import) -> Option<&str> {
    import.facts.license.as_ref().map(|found| found.value.as_str())
}

pub fn ports(import: &Import) -> Vec<u16> {
    import.facts.ports.iter().map(|found| found.value.port).collect()
}

pub fn volumes(import: &Import) -> Vec<&str> {
    import.facts.volumes.iter().map(|found| found.value.path.as_str()).collect()
}

pub fn arches(import: &Import) -> Vec<&str> {
    import.facts.arch.iter().map(|found| found.value.as_str()).collect()
}

pub fn dangers(import: &Import) -> Vec<&str> {
    import.facts.danger.iter().map(|found| found.value.as_str()).collect()
}

pub fn names(import: &Import) -> Vec<&str> {
    import.facts.env.iter().map(|found| found.value.name.as_str()).collect()
}

pub fn has(import: &Import, name: &str) -> bool {
    import.facts.env.iter().any(|found| found.value.name == name)
}

pub fn default<'i>(import: &'i Import, name: &str) -> Option<&'i str> {
    let fact = import.facts.env.iter().find(|found| found.value.name == name)?;
    fact.value.default.as_deref()
}

pub fn required(import: &Import, name: &str) -> Option<bool> {
    import.facts.env.iter().find(|found| found.value.name == name).and_then(|found| found.value.required)
}
