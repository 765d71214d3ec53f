//! Secrets in what comes back: they are in nothing that is kept, told, asked or thought about.

use proto::v1::run_input::Input;
use proto::v1::{ModelAnswer, model_answer};
use serde_json::json;

use super::bench::{Bench, SECRET};

const BASE64: [&str; 3] = ["aHVudGVyMi1odW50ZXIy", "odW50ZXIyLWh1bnRlcj", "h1bnRlcjItaHVudGVyM"];

/// As tools print it.
fn spellings() -> Vec<(&'static str, String)> {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("plain", SECRET.to_owned()),
        ("in hexadecimal", hex.clone()),
        ("in capital hexadecimal", hex.to_uppercase()),
        ("in base64", "aHVudGVyMi1odW50ZXIy".to_owned()),
        ("in base64 with more before", "eGh1bnRlcjItaHVudGVyMg==".to_owned()),
        ("within a word", format!("x{SECRET}y")),
        ("twice", format!("{SECRET}{SECRET}")),
        ("around the end of a block", format!("{}{SECRET}", "q".repeat((64 << 10) - 5))),
        ("somebody's token", "Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789".to_owned()),
        (
            "somebody's key",
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----".to_owned(),
        ),
    ]
}

#[tokio::test]
async fn a_secret_in_a_file_is_in_nothing_that_is_kept_or_asked() {
    let mut bench = Bench::new().await;
    let read = json!({"id": "a", "tool": "file.read", "args": {"path": bench.path("log")}});
    let think = json!({"id": "b", "needs": ["a"], "tool": "llm.ask", "tier": "low", "args": {"prompt": "${a.out.text}"}});
    for (how, text) in spellings() {
        std::fs::write(bench.path("log"), &text).expect("written");
        let mut follower = bench.begin(&[read.clone(), think.clone()]).await;
        while follower.needs.is_empty() && follower.next().await {}
        // Too long a prompt asks nobody.
        if let Some(need) = follower.needs.first().map(|need| need.id.clone()) {
            // A provider that tells in its error what it was sent.
            let error = model_answer::Answer::Error(format!("401: the key {text} is not valid"));
            let answer = ModelAnswer { need, answer: Some(error), ..Default::default() };
            follower.answer(Input::Model(answer)).await;
        }
        follower.ending().await;
        let told =
            format!("{:?}{:?}{:?}{}", follower.records, follower.receipts, follower.needs, follower.printed);
        assert!(told.contains("***"), "{how}: it was read and hidden");
        clean(how, told.as_bytes());
        let folder = bench.node.path(&format!("runs/{}", bench.run()));
        for entry in
            std::fs::read_dir(folder).expect("there").flatten().filter(|entry| entry.path().is_file())
        {
            clean(how, &std::fs::read(entry.path()).expect("read"));
        }
    }
}

fn clean(how: &str, bytes: &[u8]) {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let marks = [SECRET, &hex, &hex.to_uppercase(), "abcdefghijklmnopqrstuvwxyz0123456789", "MIIEvQIBADANBg"];
    for mark in marks.into_iter().chain(BASE64) {
        let is_in = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
        assert!(!is_in, "{how}: {mark} is in {}", String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]));
    }
}
