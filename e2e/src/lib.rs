//! A fleet of real hosts on one machine, for tests, benchmarks and people.
//!
//! A host is a set of Linux namespaces with its own disk, address and sshd; nothing in it is simulated except
//! the faults we cause. Start reading at [`fleet::Fleet`].

pub mod bench;
pub mod builds;
pub mod etcd;
pub mod fleet;
pub mod host;
pub mod kill_matrix;
pub mod orchestrator;
pub mod scene;
mod ssh;
pub mod stage;
