//! Everything that is tested against real things: one binary, so that it links once.

mod access;
mod blobs;
mod catalog;
mod cli;
mod github;
mod plans;
mod program;
mod registry;
mod store;
mod web;
