//! Everything that is tested against real things: one binary, so that it links once.

mod access;
mod ask;
mod blobs;
mod catalog;
mod cli;
mod earlier;
mod fill;
mod forgotten;
mod github;
mod models;
mod plans;
mod program;
mod registry;
mod repository;
mod signed;
mod store;
mod untouched;
mod web;
