//! What a judge must look up on the node, given as a function so that judging stays pure.

/// A program that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it was found.
    pub found: String,
    /// Where that leads, all links followed.
    pub real: String,
}

/// Looks things up.
pub struct Look<'l> {
    /// A bare name in the folders of the policy, or an absolute path; nothing when it is not there or no program.
    pub program: &'l dyn Fn(&str) -> Option<Program>,
    /// Where a path leads, all links followed; of a path that is not there, where its nearest folder leads.
    pub real_path: &'l dyn Fn(&str) -> String,
    /// Paths that nothing but the agent touches: its data, its keys.
    pub own: &'l [String],
}

/// Takes a program to be where Debian has it, and paths to be no links: for judging a plan before it is on a node.
pub fn assumed(name: &str) -> Option<Program> {
    let path = if name.starts_with('/') { name.to_owned() } else { format!("/usr/bin/{name}") };
    Some(Program { found: path.clone(), real: path })
}

/// See [`assumed`].
pub fn as_written(path: &str) -> String {
    path.to_owned()
}

impl Look<'_> {
    /// Looks at nothing: for judging a plan before it is on a node. The node judges again.
    pub fn written() -> Look<'static> {
        Look { program: &assumed, real_path: &as_written, own: &[] }
    }
}
