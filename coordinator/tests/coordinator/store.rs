//! Both stores keep one contract: `suite` holds its cases, which run on SQLite and on a real etcd.

mod certificates;
mod etcd;
mod etcd_server;
mod model;
mod proxy;
mod sqlite;
mod suite;
