//! Follows a run: all that was written down from a record on, then what comes, and in between what is needed from outside.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use proto::v1::run_output::{self, Output};
use proto::v1::{RunOutput, run_output as out};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::runs::journal::Reader;
use crate::runs::live::{Live, Told};

type Sender = mpsc::Sender<Result<RunOutput, tonic::Status>>;

/// From where on a follower wants to be told.
#[derive(Debug, Clone, Copy)]
pub struct From {
    pub record: u64,
    pub receipt: u64,
}

/// Tells until the run has ended and all is told, or nobody listens any more.
pub async fn follow(live: Arc<Live>, from: From, sender: Sender) {
    let mut told = live.told();
    let mut printed = live.printed.subscribe();
    let mut place = Place {
        next_record: 0,
        next_receipt: 0,
        needs: 0,
        told: BTreeSet::new(),
        journal: None,
        receipts: None,
    };
    loop {
        let now = *told.borrow_and_update();
        if let Err(error) = place.catch_up(&live, from, now, &sender).await {
            let _ = sender.send(Err(tonic::Status::internal(format!("reading the run: {error}")))).await;
            return;
        }
        if now.is_over || sender.is_closed() {
            return;
        }
        loop {
            tokio::select! {
                changed = told.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                printed = printed.recv() => match printed {
                    Ok(printed) => {
                        let printed = run_output::Printed { step: printed.step.to_string(), text: printed.text };
                        if sender.send(Ok(output(Output::Printed(printed)))).await.is_err() {
                            return;
                        }
                    }
                    // Whoever is slow misses some of it; the output as it is kept comes with the record.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                () = sender.closed() => return,
            }
        }
    }
}

/// How far one follower was told.
struct Place {
    next_record: u64,
    next_receipt: u64,
    needs: u64,
    /// Open needs that this follower knows.
    told: BTreeSet<String>,
    journal: Option<Reader>,
    receipts: Option<io::Lines<io::BufReader<std::fs::File>>>,
}

impl Place {
    async fn catch_up(&mut self, live: &Live, from: From, now: Told, sender: &Sender) -> io::Result<()> {
        while self.next_record < now.records {
            let journal = match &mut self.journal {
                Some(journal) => journal,
                none @ None => none.insert(Reader::open(&live.folder.journal())?),
            };
            let json = journal.next()?;
            let number = self.next_record;
            self.next_record += 1;
            if number >= from.record {
                send(sender, Output::Record(out::Record { number, json })).await?;
            }
        }
        while self.next_receipt < now.receipts {
            let receipts = match &mut self.receipts {
                Some(receipts) => receipts,
                none @ None => {
                    let file = std::fs::File::open(live.folder.receipts())?;
                    none.insert(io::BufRead::lines(io::BufReader::new(file)))
                }
            };
            let json = receipts.next().ok_or(io::ErrorKind::UnexpectedEof)??;
            let number = self.next_receipt;
            self.next_receipt += 1;
            if number >= from.receipt {
                send(sender, Output::Receipt(out::Receipt { json })).await?;
            }
        }
        if now.needs > self.needs {
            self.needs = now.needs;
            let open = live.needs();
            self.told.retain(|id| open.iter().any(|need| need.id == *id));
            for need in open {
                if self.told.insert(need.id.clone()) {
                    send(sender, Output::Need(need)).await?;
                }
            }
        }
        Ok(())
    }
}

/// Nobody listening is no error of the run.
async fn send(sender: &Sender, what: Output) -> io::Result<()> {
    let _ = sender.send(Ok(output(what))).await;
    Ok(())
}

fn output(output: Output) -> RunOutput {
    RunOutput { output: Some(output) }
}
