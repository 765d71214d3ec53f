//! https endpoints: trusted where this machine trusts who signed them, and nowhere else.

use std::process::Command;
use std::sync::Arc;

use llm::error::Fault;
use llm::message::Request;
use llm::provider::Provider;
use llm::provider::connection::{Endpoint, Timeouts};
use llm::provider::openai::{Dialect, OpenAi};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const BODY: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const URL: &str = "LLM_TEST_URL";

#[tokio::test]
async fn a_certificate_is_trusted_as_the_machine_trusts_it() {
    // The trusted authorities are read once in a process, so the client is a process of its own: this test, asked anew.
    if let Ok(url) = std::env::var(URL) {
        return client(&url).await;
    }
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let url = serve(&made).await;
    for (trusted, host, expected) in
        [(&made, "localhost", "hi"), (&other, "localhost", "untrusted"), (&made, "127.0.0.1", "untrusted")]
    {
        let file = std::env::temp_dir().join(format!("llm-tls-{}-{host}-{expected}.pem", std::process::id()));
        std::fs::write(&file, trusted.cert.pem()).expect("a file");
        let mut test = Command::new(std::env::current_exe().expect("this test"));
        test.args(["--nocapture", "--exact", "a_certificate_is_trusted_as_the_machine_trusts_it"]);
        test.env("SSL_CERT_FILE", &file).env_remove("SSL_CERT_DIR").env(URL, url.replace("localhost", host));
        let output =
            tokio::task::spawn_blocking(move || test.output()).await.expect("it ran").expect("it ran");
        std::fs::remove_file(&file).expect("the file");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("got: {expected}")), "{host}: {said} {complained}");
    }
}

async fn client(url: &str) {
    let endpoint = Endpoint::parse("secure", url, None, Timeouts::default()).expect("an endpoint");
    let provider = OpenAi::new(endpoint, Dialect::OPENAI);
    let answer = match provider.send(&Request::new("m", "", "?", 5)).await {
        Ok(reply) => reply.whole().await.map(|response| response.text),
        Err(error) => Err(error),
    };
    match answer {
        Ok(text) => println!("got: {text}"),
        Err(error) if is_untrusted(&error.fault) => println!("got: untrusted"),
        Err(error) => println!("got: {error:?}"),
    }
}

fn is_untrusted(fault: &Fault) -> bool {
    matches!(fault, Fault::Connect { cause, .. } if cause.to_string().contains("certificate"))
}

async fn serve(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> String {
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a client");
            // A client that does not trust us hangs up in the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 8_192];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(format!("{head}{BODY}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}")
}
