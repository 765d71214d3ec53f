//! Blobs in a folder and behind another object store: whole or not there.

use std::fs;
use std::sync::Arc;

use coordinator::blobs::{BlobError, Blobs};
use modules::digest::Digest;
use object_store::memory::InMemory;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn what_is_put_can_be_fetched_listed_and_deleted() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let local = Blobs::local(&folder.path().join("blobs")).expect("open");
    let remote = Blobs::remote(Arc::new(InMemory::new()), "memory".into());
    // More than one part, and nothing at all.
    let (large, empty): (Vec<u8>, Vec<u8>) =
        ((0..9_000_000).map(|byte| (byte % 251) as u8).collect(), vec![]);
    for blobs in [local, remote] {
        for content in [&large, &empty] {
            let digest = Digest::of(content);
            assert!(!blobs.has(&digest).await.expect("has"));
            assert!(matches!(blobs.fetch(&digest).await, Err(BlobError::Missing { .. })));
            blobs.put(&digest, &content[..]).await.expect("put");
            blobs.put(&digest, &b"not even read"[..]).await.expect("put again");
            assert!(blobs.has(&digest).await.expect("has"));
            let fetched = blobs.fetch(&digest).await.expect("fetch");
            assert_eq!(fetched.size, content.len() as u64);
            assert!(fs::read(fetched.path()).expect("read") == *content);
        }
        let mut all = vec![Digest::of(&large), Digest::of(&empty)];
        all.sort_unstable();
        assert_eq!(blobs.list().await.expect("list"), all);
        blobs.delete(&all[0]).await.expect("delete");
        blobs.delete(&all[0]).await.expect("delete again");
        assert_eq!(blobs.list().await.expect("list"), all[1..]);
    }
}

#[tokio::test]
async fn a_put_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let blobs = Blobs::local(folder.path()).expect("open");
    let digest = Digest::of(b"right");
    let other = blobs.put(&digest, &b"wrong"[..]).await.expect_err("is other content");
    assert!(matches!(other, BlobError::OtherContent { .. }), "{other:?}");
    // Reading a folder fails.
    let broken = b"ri".chain(tokio::fs::File::open(folder.path()).await.expect("open"));
    blobs.put(&digest, broken).await.expect_err("is broken");
    assert_eq!(fs::read_dir(folder.path()).expect("read folder").count(), 0);
    assert!(!blobs.has(&digest).await.expect("has"));
}

#[tokio::test]
async fn a_damaged_blob_is_set_aside_and_can_be_put_anew() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let blobs = Blobs::local(folder.path()).expect("open");
    let digest = Digest::of(b"right");
    blobs.put(&digest, &b"right"[..]).await.expect("put");
    fs::write(folder.path().join(digest.hex()), "wrong").expect("damage");
    let error = blobs.fetch(&digest).await.err().expect("is damaged");
    assert!(matches!(error, BlobError::Damaged { found, .. } if found == Digest::of(b"wrong")), "{error:?}");
    assert!(!blobs.has(&digest).await.expect("has"));
    assert_eq!(blobs.list().await.expect("list"), []);
    blobs.put(&digest, &b"right"[..]).await.expect("put anew");
    blobs.fetch(&digest).await.expect("fetch");
}

#[tokio::test]
async fn what_a_killed_upload_left_is_swept_once_nobody_uploads() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let blobs = Blobs::local(folder.path()).expect("open");
    let digest = Digest::of(b"right");
    let (mut paused, content) = tokio::io::duplex(64);
    let uploading = tokio::spawn({
        let blobs = blobs.clone();
        async move { blobs.put(&digest, content).await }
    });
    tokio::io::AsyncWriteExt::write_all(&mut paused, b"ri").await.expect("write");
    while staged(folder.path()) == 0 {
        tokio::task::yield_now().await;
    }
    drop(Blobs::local(folder.path()).expect("open beside the upload"));
    assert_eq!(staged(folder.path()), 1, "still being written");
    tokio::io::AsyncWriteExt::write_all(&mut paused, b"ght").await.expect("write");
    drop(paused);
    uploading.await.expect("upload").expect("put");
    fs::write(folder.path().join(format!("{}#1", digest.hex())), "left").expect("write");
    drop(Blobs::local(folder.path()).expect("open"));
    assert_eq!(staged(folder.path()), 0);
    let mut content = String::new();
    let fetched = blobs.fetch(&digest).await.expect("fetch");
    let mut file = tokio::fs::File::open(fetched.path()).await.expect("open");
    file.read_to_string(&mut content).await.expect("read");
    assert_eq!(content, "right");
}

fn staged(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).expect("read folder");
    entries.filter(|entry| entry.as_ref().expect("entry").file_name().to_string_lossy().contains('#')).count()
}
