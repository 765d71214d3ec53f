//! Stands between a store and its etcd, and can be cut or lose an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    endpoint: String,
    is_cut: watch::Sender<bool>,
    swallows: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let endpoint = listener.local_addr().expect("address").to_string();
        let (is_cut, cut) = watch::channel(false);
        let swallows = Arc::new(AtomicBool::new(false));
        let (target, swallow) = (target.to_owned(), Arc::clone(&swallows));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*cut.borrow() {
                    tokio::spawn(forward(client, target.clone(), cut.clone(), Arc::clone(&swallow)));
                }
            }
        });
        Proxy { endpoint, is_cut, swallows }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends all connections and takes no new ones.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }

    /// Ends the connection in place of the next answer that etcd gives to a request with data.
    pub fn swallow_next_answer(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }
}

async fn forward(
    client: TcpStream,
    target: String,
    mut cut: watch::Receiver<bool>,
    swallow: Arc<AtomicBool>,
) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upward = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let downward = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from_server.read(&mut buffer).await?;
            // Small frames are acknowledgements and pings of HTTP/2, not yet the answer.
            if count == 0 || (count > 60 && swallow.swap(false, Ordering::SeqCst)) {
                return Ok::<(), std::io::Error>(());
            }
            to_client.write_all(&buffer[..count]).await?;
        }
    };
    tokio::select! {
        _ = upward => {}
        _ = downward => {}
        _ = cut.wait_for(|is_cut| *is_cut) => {}
    }
}
