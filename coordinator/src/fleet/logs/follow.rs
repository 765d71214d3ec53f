//! Follows one instance's log through the troubles of its node: what breaks off is told as a line and opened anew, and
//! whoever follows several logs hears the others meanwhile.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use proto::v1::LogLine;
use tokio::time::sleep;

use super::Lines;
use crate::fleet::FleetError;
use crate::fleet::carry_out::one_line;

/// Before a log is opened anew; twice as long each time it fails again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct Followed<Open, Tell> {
    lines: Option<Lines>,
    /// Why it was not opened in the first place.
    trouble: Option<FleetError>,
    open: Open,
    tell: Tell,
    pause: Duration,
    is_told: bool,
    has_ended: bool,
}

/// `lines` as they were opened, with what breaks off opened anew.
pub fn through_trouble<Open, Tell>(lines: Result<Lines, FleetError>, open: Open, tell: Tell) -> Lines
where
    Open: Fn() -> BoxFuture<'static, Result<Lines, FleetError>> + Send + 'static,
    Tell: Fn(String) -> LogLine + Send + 'static,
{
    let (lines, trouble) = match lines {
        Ok(lines) => (Some(lines), None),
        Err(error) => (None, Some(error)),
    };
    let followed = Followed { lines, trouble, open, tell, pause: PAUSE, is_told: false, has_ended: false };
    futures::stream::unfold(followed, |mut followed| async move {
        followed.next().await.map(|line| (Ok(line), followed))
    })
    .boxed()
}

impl<Open, Tell> Followed<Open, Tell>
where
    Open: Fn() -> BoxFuture<'static, Result<Lines, FleetError>>,
    Tell: Fn(String) -> LogLine,
{
    async fn next(&mut self) -> Option<LogLine> {
        while !self.has_ended {
            let trouble = match (self.trouble.take(), &mut self.lines) {
                (Some(error), _) => error,
                (None, Some(lines)) => match lines.next().await? {
                    Ok(line) => return Some(line),
                    Err(error) => error,
                },
                (None, None) => match self.open_anew().await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            };
            self.lines = None;
            self.has_ended = !trouble.is_absence();
            if self.has_ended || !std::mem::replace(&mut self.is_told, true) {
                return Some((self.tell)(words(&trouble, self.has_ended)));
            }
        }
        None
    }

    async fn open_anew(&mut self) -> Result<(), FleetError> {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.lines = Some((self.open)().await?);
        (self.pause, self.is_told) = (PAUSE, false);
        Ok(())
    }
}

fn words(trouble: &FleetError, is_the_end: bool) -> String {
    let why = one_line(trouble);
    if is_the_end {
        format!("no logs: {why}")
    } else {
        format!("no logs for now, and what is said meanwhile is left out: {why}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;
    use proto::ids::NodeName;

    use super::*;
    use crate::agents::AgentError;

    #[tokio::test(start_paused = true)]
    async fn a_log_that_breaks_off_is_told_once_and_opened_anew() {
        let later = Mutex::new(vec![ending(["back"]), Err(away()), Err(away())]);
        let open = move || {
            let next = later.lock().expect("no panic").pop();
            async move { next.expect("opened no more often") }.boxed()
        };
        let first = futures::stream::iter([Ok(line("one")), Err(away())]).boxed();
        let told = through_trouble(Ok(first), open, |text| line(&text));
        assert_eq!(
            texts(told).await,
            ["one", "no logs for now, and what is said meanwhile is left out: the agent of attic", "back"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_come_back_ends_with_a_word() {
        let gone = FleetError::NoSuchNode { name: "attic".to_owned(), similar: None };
        let open = || unreachable!("it is not opened anew");
        let told = through_trouble(Err(gone), open, |text| line(&text));
        assert_eq!(texts(told).await, ["no logs: no node is named attic"]);
    }

    fn ending<const N: usize>(lines: [&str; N]) -> Result<Lines, FleetError> {
        Ok(futures::stream::iter(lines.map(|text| Ok(line(text)))).boxed())
    }

    fn away() -> FleetError {
        let node = NodeName::parse("attic").expect("a name");
        AgentError::TimedOut { node, operation: "", after: PAUSE }.into()
    }

    fn line(text: &str) -> LogLine {
        LogLine { text: text.as_bytes().to_vec(), ..Default::default() }
    }

    /// The beginning of each.
    async fn texts(told: Lines) -> Vec<String> {
        let lines: Vec<_> = told.collect().await;
        let text = |line: Result<LogLine, FleetError>| {
            String::from_utf8_lossy(&line.expect("no error").text).into_owned()
        };
        lines.into_iter().map(text).map(|text| text.chars().take(75).collect()).collect()
    }
}
