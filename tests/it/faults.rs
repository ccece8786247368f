//! Faults: what goes wrong in real clusters, each a test that carries the id of its row in `docs/faults.md`.

mod cleanup;
mod containers;
mod credentials;
mod disruption;
mod logs;
mod mix;
mod requests;
mod start;
mod verdict;
mod watch;

use local_cluster::Script;
use tests::fault;
use tests::faults::{Expected, lines, seconds};

/// What every other test is compared with.
#[test]
fn without_a_fault_nothing_is_repeated_and_nothing_left() {
    fault!()
        .script("a", Script::new().print(lines(1..=3)).sleep(seconds(5)))
        .run()
        .expect(Expected::succeeded().lines(3));
}
