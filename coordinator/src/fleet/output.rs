//! What a command says that runs on a node, and how it ended: also where the node cannot be reached or breaks off.

use futures::stream::{BoxStream, once};
use futures::{Stream, StreamExt as _};
use proto::v1;
use proto::v1::exec_output::Event;

use super::FleetError;

/// As ssh has it where it could not run a command.
const UNREACHED: i32 = 255;
const BROKE_OFF: &str = "it broke off before the command had ended; nobody knows what became of that";

pub(super) type Output = BoxStream<'static, Result<v1::ExecOutput, FleetError>>;

/// The output of one command with the name of its node. It ends with exactly one exit code, whatever happens: one that
/// was not told is 255, and why is told on stderr.
pub(super) fn whole<S>(node: String, heard: Result<S, FleetError>) -> BoxStream<'static, v1::ExecOutput>
where
    S: Stream<Item = Result<v1::ExecOutput, FleetError>> + Send + 'static,
{
    let heard = match heard {
        Ok(heard) => heard.left_stream(),
        Err(error) => once(async { Err(error) }).right_stream(),
    };
    let ended = once(async { None });
    let mut is_over = false;
    let until_its_end = heard.map(Some).chain(ended).map(move |heard| {
        let said = match heard {
            _ if is_over => Vec::new(),
            Some(Ok(output)) => vec![output],
            Some(Err(error)) => unreached(&error.to_string()),
            None => unreached(BROKE_OFF),
        };
        is_over |= said.iter().any(|output| matches!(output.event, Some(Event::ExitCode(_))));
        let named = said.into_iter().map(|output| v1::ExecOutput { node: node.clone(), ..output });
        futures::stream::iter(named.collect::<Vec<_>>())
    });
    until_its_end.flatten().boxed()
}

fn unreached(reason: &str) -> Vec<v1::ExecOutput> {
    let output = |event| v1::ExecOutput { event: Some(event), ..Default::default() };
    vec![output(Event::Stderr(format!("{reason}\n").into_bytes())), output(Event::ExitCode(UNREACHED))]
}

#[cfg(test)]
mod tests {
    use futures::stream::iter;

    use super::*;

    /// What `whole` makes of what was heard, in words.
    async fn told(heard: Vec<Result<Event, FleetError>>) -> Vec<String> {
        let output = |event| v1::ExecOutput { event: Some(event), ..Default::default() };
        let heard: Vec<_> = heard.into_iter().map(|event| event.map(output)).collect();
        let whole = whole("attic".to_owned(), Ok(iter(heard)));
        let word = |output: v1::ExecOutput| {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
            let event = match output.event.expect("an event") {
                Event::Stdout(bytes) => format!("out {}", text(bytes)),
                Event::Stderr(bytes) => format!("err {}", text(bytes)),
                Event::ExitCode(code) => format!("exit {code}"),
            };
            format!("{}: {event}", output.node)
        };
        whole.map(word).collect().await
    }

    #[tokio::test]
    async fn a_command_that_ends_is_told_as_it_was() {
        let heard = vec![Ok(Event::Stdout(b"hello\n".to_vec())), Ok(Event::ExitCode(3))];
        assert_eq!(told(heard).await, ["attic: out hello", "attic: exit 3"]);
    }

    #[tokio::test]
    async fn one_that_is_not_known_to_have_ended_has_failed() {
        let said = || Ok(Event::Stdout(b"hello\n".to_vec()));
        let ended = told(vec![said()]).await;
        assert_eq!(ended[1..], [format!("attic: err {BROKE_OFF}"), "attic: exit 255".to_owned()]);
        let broken = told(vec![said(), Err(FleetError::BrokenOff), said()]).await;
        assert_eq!(broken.len(), 3, "{broken:?}");
        assert_eq!(broken[2], "attic: exit 255");
    }
}
