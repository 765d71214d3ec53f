//! Packages that come over the connection with the coordinator.

use std::time::{Duration, Instant};

use proto::v1::ReceiveRequest;
use proto::v1::receive_request::{Parcel, Part};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::fleet::Client;
use crate::node::{LIMIT, Node, observe};
use crate::package::{HEALTHY, Package, SLEEP, package};

#[tokio::test]
async fn a_package_is_stored_once_however_often_it_comes() {
    let (node, mut client) = Node::running().await;
    let package = large("1");
    for _ in 0..2 {
        send(&mut client, whole(&package)).await.expect("stored");
    }
    assert_eq!(observe(&mut client).await.releases, std::slice::from_ref(&package.digest));
    assert_eq!(left(&node), 1);
}

#[tokio::test]
async fn what_is_not_the_announced_package_is_refused_with_the_reason_and_leaves_nothing() {
    let (node, mut client) = Node::running().await;
    let (good, other) = (large("1"), large("2"));
    let short = Package { bytes: good.bytes[..good.bytes.len() - 1].to_vec(), digest: good.digest.clone() };
    let mut cut = whole(&good);
    cut.pop();
    let damaged = Package { bytes: other.bytes, digest: good.digest.clone() };
    let nameless = Package { digest: "md5:0".to_owned(), ..good.clone() };
    let twice = whole(&good).into_iter().take(2).chain(whole(&good)).collect();
    let refused = [
        (whole(&damaged), Code::FailedPrecondition, "the package's digest is"),
        (cut, Code::FailedPrecondition, "announced were"),
        (whole(&short), Code::FailedPrecondition, "the package's digest is"),
        (whole(&nameless), Code::InvalidArgument, "is not a digest"),
        (vec![Part::Chunk(vec![1])], Code::InvalidArgument, "the first message"),
        (Vec::new(), Code::InvalidArgument, "the first message"),
        (twice, Code::InvalidArgument, "a second package"),
    ];
    for (parts, code, message) in refused {
        let status = send(&mut client, parts).await.expect_err(message);
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(message), "{status}");
        until_left(&node, 0).await;
    }
    send(&mut client, whole(&good)).await.expect("the same node takes the good one");
}

#[tokio::test]
async fn an_upload_leaves_nothing_when_the_caller_goes() {
    let (node, mut client) = Node::running().await;
    let (parts, queue) = mpsc::channel(4);
    let call = tokio::spawn(async move {
        let _ = client.receive(ReceiverStream::new(queue)).await;
    });
    begin(&parts, &large("1")).await;
    until_left(&node, 1).await;
    call.abort();
    until_left(&node, 0).await;
}

#[tokio::test]
async fn an_upload_leaves_nothing_when_the_agent_dies() {
    let (mut node, mut client) = Node::running().await;
    let (parts, queue) = mpsc::channel(4);
    let call = tokio::spawn(async move { client.receive(ReceiverStream::new(queue)).await });
    begin(&parts, &large("1")).await;
    until_left(&node, 1).await;
    node.kill();
    until_left(&node, 0).await;
    assert!(call.await.expect("no panic").is_err());
}

/// Longer than what is on its way at once.
fn large(version: &str) -> Package {
    let noise: String =
        (0..80_000).map(|n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    package(version, &[SLEEP, HEALTHY, ("noise", &noise)])
}

fn whole(package: &Package) -> Vec<Part> {
    let parcel = Parcel { digest: package.digest.clone(), size: package.bytes.len() as u64 };
    let chunks = package.bytes.chunks(60_000).map(|chunk| Part::Chunk(chunk.to_vec()));
    std::iter::once(Part::Parcel(parcel)).chain(chunks).collect()
}

async fn send(client: &mut Client, parts: Vec<Part>) -> Result<(), Status> {
    let requests = tokio_stream::iter(parts).map(|part| ReceiveRequest { part: Some(part) });
    client.receive(requests).await.map(drop)
}

/// Sends the first half of it.
async fn begin(parts: &mpsc::Sender<ReceiveRequest>, package: &Package) {
    let all = whole(package);
    for part in all.iter().take(all.len() / 2) {
        parts.send(ReceiveRequest { part: Some(part.clone()) }).await.expect("taken");
    }
}

/// Our end of the connection must go on meanwhile.
async fn until_left(node: &Node, count: usize) {
    let begin = Instant::now();
    while left(node) != count {
        assert!(begin.elapsed() < LIMIT, "{} are left, not {count}", left(node));
        sleep(Duration::from_millis(5)).await;
    }
}

/// Releases, whole or not.
fn left(node: &Node) -> usize {
    let names = std::fs::read_dir(node.path("releases")).expect("list").flatten();
    names.filter(|entry| entry.path().is_dir()).count()
}
