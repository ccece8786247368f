//! Logs: every line once and in order, whatever becomes of the stream.

use local_cluster::{After, Interruption, Script};
use tests::fault;
use tests::faults::{Expected, hours, lines, minutes};

#[test]
fn f02_a_stream_that_ends_after_four_hours_has_no_gap_and_no_doubled_line() {
    let ten_hours = (1..=150).fold(Script::new(), |script, n| script.print(lines([n])).sleep(minutes(4)));
    fault!()
        .script("a", ten_hours)
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").interrupt(After::Time(hours(4)), Interruption::Eof);
        })
        .run()
        .expect(Expected::succeeded().within(hours(11)).lines(150).more("get pods/log", 2));
}
