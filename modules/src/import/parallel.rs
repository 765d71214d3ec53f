//! Two things at once, where a text is long enough to keep two processors busy.

/// For a text of fewer blocks, the start of a thread takes longer than what it saves.
const LONG: usize = 1000;

/// Does both: each on a thread of its own where a text has many `blocks`, else one after the other.
pub fn both<A: Send, B>(blocks: usize, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    if blocks < LONG {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), other)
    })
}
