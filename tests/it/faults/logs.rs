//! Logs: every line once and in order, whatever becomes of the stream.

use std::time::Duration;

use jiff::SignedDuration;
use local_cluster::{After, Answer, Interruption, Resource, Script};
use runner::outcome::{Outcome, Reason};
use runner::report::ExitCode;
use runner::run::Signal;
use tests::fault;
use tests::faults::{Expected, hours, lines, minutes, seconds};

/// `line n` of so many bytes, line end included.
fn wide(numbers: impl IntoIterator<Item = usize>, width: usize) -> String {
    numbers.into_iter().map(|number| format!("{:<1$}\n", format!("line {number}"), width - 1)).collect()
}

/// Prints these lines one after the other, with this pause behind each.
fn paced(numbers: impl IntoIterator<Item = usize>, pause: Duration) -> Script {
    numbers.into_iter().fold(Script::new(), |script, number| script.print(lines([number])).sleep(pause))
}

/// Prints 3,100 lines of 1 KiB in 50 s: four files of 1 MiB, of which each takes 992 lines, those of 16 s.
fn fills_files() -> Script {
    (0..50).fold(Script::new(), |script, n| script.print(wide(n * 62 + 1..=n * 62 + 62, 1024)).sleep(seconds(1)))
}

#[test]
fn f01_a_rotation_under_a_stream_is_not_seen() {
    let seen = fault!()
        .script("a", fills_files())
        .cluster(|cluster| cluster.faults().on("run", "pods", "a-*").rotate_log(1024 * 1024))
        .run();
    assert!(!seen.screen.contains("missing"), "{}", seen.screen);
    seen.expect(Expected::succeeded().log("a", wide(1..=3100, 1024)));
}

#[test]
fn f01_a_stream_that_ends_behind_a_rotation_is_a_cut_like_any_other() {
    let seen = fault!()
        .script("a", fills_files())
        .cluster(|cluster| {
            cluster.faults().on("run", "pods", "a-*").rotate_log(1024 * 1024);
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(1000), Interruption::Eof);
        })
        .run();
    assert!(!seen.screen.contains("missing"), "{}", seen.screen);
    seen.expect(Expected::succeeded().log("a", wide(1..=3100, 1024)).more("get pods/log", 1));
}

#[test]
fn f01_a_stream_that_ends_where_its_file_ends_loses_nothing_but_that_is_not_known() {
    let seen = fault!()
        .script("a", fills_files())
        .cluster(|cluster| {
            cluster.faults().on("run", "pods", "a-*").rotate_log(1024 * 1024);
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(992), Interruption::Eof);
        })
        .run();
    // The last line is out of reach, and for all that is known there was another file before the newest.
    assert_eq!(seen.screen.matches("lines may be missing").count(), 1, "{}", seen.screen);
    seen.expect(Expected::succeeded().log("a", wide(1..=3100, 1024)).more("get pods/log", 1));
}

#[test]
fn f02_a_stream_that_ends_after_four_hours_has_no_gap_and_no_doubled_line() {
    fault!()
        .script("a", paced(1..=150, minutes(4)))
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").interrupt(After::Time(hours(4)), Interruption::Eof);
        })
        .run()
        .expect(Expected::succeeded().within(hours(11)).lines(150).more("get pods/log", 2));
}

#[test]
fn f03_a_stream_that_breaks_while_silent_is_opened_again() {
    fault!()
        .script("a", Script::new().print(lines([1])).sleep(minutes(8)).print(lines([2])).sleep(seconds(1)))
        .cluster(|cluster| {
            let streams = cluster.faults().on("get", "pods/log", "a-*").first(5);
            streams.interrupt(After::Idle(minutes(1)), Interruption::Reset);
        })
        .run()
        .expect(Expected::succeeded().within(minutes(9)).lines(2).more("get pods/log", 5));
}

#[test]
fn f03_an_hour_of_silence_is_normal() {
    fault!()
        .script("a", Script::new().print(lines([1])).sleep(hours(1)).print(lines([2])).sleep(seconds(1)))
        .run()
        // A connection on which nothing came for five minutes may be dead.
        .expect(Expected::succeeded().within(hours(2)).lines(2).more("get pods/log", 11));
}

#[test]
fn f04_lines_with_one_stamp_are_not_doubled_when_the_local_clock_is_ahead() {
    fault!()
        .script(
            "a",
            Script::new().sleep(seconds(1)).print(lines(1..=3)).sleep(seconds(1)).print(lines([4])).sleep(seconds(1)),
        )
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(2), Interruption::Reset);
        })
        .meanwhile(|stage| async move { stage.offset_local_clock(SignedDuration::from_secs(90)) })
        .run()
        .expect(Expected::succeeded().lines(4).more("get pods/log", 1));
}

#[test]
fn f05_no_line_is_lost_when_a_busy_second_is_cut() {
    fault!()
        .script("a", paced(1..=100, Duration::from_millis(10)))
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(50), Interruption::Reset);
        })
        .run()
        .expect(Expected::succeeded().lines(100).more("get pods/log", 1));
}

#[test]
fn f06_lines_that_are_older_than_the_time_that_was_asked_for_are_dropped() {
    fault!()
        .script("a", paced(1..=9, Duration::from_millis(300)))
        .cluster(|cluster| {
            for (nth, count) in [(1, 3), (2, 4), (3, 5)] {
                let streams = cluster.faults().on("get", "pods/log", "a-*").nth(nth);
                streams.interrupt(After::Lines(count), Interruption::Reset);
            }
        })
        .run()
        .expect(Expected::succeeded().lines(9).more("get pods/log", 3));
}

#[test]
fn f07_a_line_in_parts_is_one_line_wherever_it_is_cut() {
    let text = format!("{}\n{}\nend\n", "p".repeat(40 * 1024), "q".repeat(40 * 1024 * 1024));
    fault!()
        .script("a", Script::new().print(text.clone()).sleep(minutes(1)))
        .cluster(|cluster| {
            for (nth, bytes) in [(1, 30_000), (2, 30_000_000)] {
                let streams = cluster.faults().on("get", "pods/log", "a-*").nth(nth);
                streams.interrupt(After::Bytes(bytes), Interruption::Reset);
            }
        })
        .run()
        .expect(Expected::succeeded().log("a", text).more("get pods/log", 2));
}

#[test]
fn f08_the_kubelets_words_in_place_of_a_log_are_no_log() {
    fault!()
        .script("a", paced(1..=3, seconds(2)))
        .cluster(|cluster| {
            let words = "unable to retrieve container logs for containerd://0123456789abcdef";
            cluster.faults().on("get", "pods/log", "a-*").first(2).body(words);
        })
        .run()
        .expect(Expected::succeeded().lines(3).more("get pods/log", 2));
}

#[test]
fn f08_the_kubelets_words_behind_real_lines_are_no_log() {
    fault!()
        .script("a", paced(1..=4, seconds(2)))
        .cluster(|cluster| {
            let words = "failed to create fsnotify watcher: too many open files";
            cluster.faults().on("get", "pods/log", "a-*").nth(1).body_after(After::Lines(2), words);
        })
        .run()
        .expect(Expected::succeeded().lines(4).more("get pods/log", 1));
}

#[test]
fn f08_a_program_that_prints_the_kubelets_words_keeps_them() {
    let text = "failed to open log file \"/var/log/x\"\nunable to retrieve container logs for me\n";
    fault!()
        .script("a", Script::new().print(text).sleep(seconds(1)))
        .run()
        .expect(Expected::succeeded().log("a", text));
}

#[test]
fn f09_the_log_of_a_deleted_pod_is_what_came_and_says_so() {
    fault!()
        .script("a", Script::new().print(lines(1..=3)).sleep(seconds(1)))
        .cluster(|cluster| {
            let log = || cluster.faults().on("get", "pods/log", "a-*");
            log().nth(1).interrupt(After::Lines(2), Interruption::Reset);
            log().from(2).answer(Answer::status(404, "pods \"a\" not found"));
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(seconds(3)).await;
            stage.cluster().delete(Resource::Pods, "default", "a-*").unwrap();
        })
        .run()
        .expect(Expected::succeeded().lines(2).more("get pods/log", 3));
}

#[test]
fn f10_a_node_that_cannot_serve_logs_yet_is_asked_again() {
    fault!()
        .script("a", paced(1..=10, seconds(2)))
        .cluster(|cluster| {
            let answer =
                Answer::status(500, "Get \"https://10.0.0.7:10250/containerLogs\": remote error: tls: internal error");
            cluster.faults().on("get", "pods/log", "a-*").first(6).answer(answer);
        })
        .run()
        .expect(Expected::succeeded().lines(10).more("get pods/log", 6));
}

#[test]
fn f11_a_slow_reader_slows_the_log_and_memory_stays_flat() {
    let text = wide(1..=32 * 1024, 1024);
    let seen = fault!()
        .script("a", Script::new().print(text.clone()).sleep(seconds(5)))
        .slow_reader(Duration::from_millis(100))
        .run();
    assert!(seen.most_unread > 1024 * 1024, "the reader was slow: {}", seen.most_unread);
    assert!(seen.most_unread <= 4 * 1024 * 1024, "{} bytes wait for the reader", seen.most_unread);
    seen.expect(Expected::succeeded().within(minutes(3)).log("a", text));
}

#[test]
fn f11_a_reader_that_has_stopped_holds_up_neither_the_verdict_nor_a_cancel() {
    let seen = fault!()
        .script("a", Script::new().print(wide(1..=32 * 1024, 1024)).forever())
        .slow_reader(hours(10))
        .meanwhile(|stage| async move {
            tokio::time::sleep(minutes(1)).await;
            stage.signal(Signal::Interrupt);
        })
        .run();
    let (shown, written) = (seen.logs["a"].clone(), seen.files["a"].clone());
    let whole = wide(1..=32 * 1024, 1024);
    assert!(written.starts_with(&shown) && whole.as_bytes().starts_with(&written), "what came is the beginning");
    let cancelled = Outcome::Cancelled { reason: Reason::Cancelled };
    let expected =
        Expected::ended(cancelled).exit(ExitCode::Interrupted).within(minutes(3)).log("a", shown).file("a", written);
    seen.expect(expected.more("get pods/log", -1));
}

#[test]
fn f12_empty_lines_stay() {
    let text = "a\n\n\nb\n";
    fault!()
        .script("a", Script::new().print(text).sleep(seconds(1)))
        .run()
        .expect(Expected::succeeded().log("a", text));
}

#[test]
fn f61_bytes_pass_unchanged() {
    let parts: [&[u8]; 5] = [b"\xff\xfe\n", b"caf\xc3", b"\xa9\0\n", b"10 %\r20 %\r", b"\x1b[2J\x1b[31mred\x1b[0m\n"];
    let script = parts.iter().fold(Script::new(), |script, part| script.print(part.to_vec()).sleep(seconds(1)));
    fault!().script("a", script).run().expect(Expected::succeeded().log("a", parts.concat()));
}

#[test]
fn f62_every_byte_of_a_container_that_lives_50_ms_arrives() {
    let text = wide(1..=1024, 1024) + "the end";
    fault!()
        .script("a", Script::new().print(text.clone()).sleep(Duration::from_millis(50)))
        .run()
        .expect(Expected::succeeded().log("a", text));
}

#[test]
fn f62_the_log_of_a_pod_that_is_first_seen_finished_is_read() {
    let text = wide(1..=1024, 1024) + "the end";
    fault!()
        .script("a", Script::new().print(text.clone()).sleep(Duration::from_millis(50)))
        .cluster(|cluster| {
            let has_begun = |pod: &serde_json::Value| pod["status"]["phase"] != "Succeeded";
            cluster.faults().on("send", "pods", "a-*").when(has_begun).lose();
        })
        .run()
        // It had ended when it was first read, so that nothing is left to prove.
        .expect(Expected::succeeded().log("a", text).more("get pods/log", -1));
}

#[test]
fn f63_a_stream_that_never_ends_does_not_hold_the_step() {
    fault!()
        .script("a", Script::new().print(lines(1..=3)).sleep(seconds(5)).print(lines([4])))
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(3), Interruption::Stall);
        })
        .run()
        .expect(Expected::succeeded().within(seconds(16)).lines(4));
}

#[test]
fn f64_what_rotation_takes_away_during_a_cut_is_one_gap() {
    let seen = fault!()
        .script(
            "a",
            Script::new().print(lines(1..=3)).sleep(seconds(10)).print(wide(4..=30_720, 1024)).sleep(minutes(2)),
        )
        .cluster(|cluster| {
            let faults = cluster.faults();
            faults.on("run", "pods", "a-*").rotate_log(10 * 1024 * 1024);
            faults.on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(3), Interruption::Reset);
            let away = faults.on("get", "pods/log", "a-*").after(seconds(0)).lasting(minutes(1));
            away.from(2).answer(Answer::status(503, "the node is away"));
        })
        .run();
    let rest = String::from_utf8(seen.logs["a"][lines(1..=3).len()..].to_vec()).unwrap();
    let first: usize = rest.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(first > 4, "something was out of reach");
    assert_eq!(seen.screen.matches("lines may be missing").count(), 1, "{}", seen.screen);
    seen.expect(
        Expected::succeeded()
            .within(minutes(3))
            .log("a", lines(1..=3) + &wide(first..=30_720, 1024))
            .more("get pods/log", 11),
    );
}

#[test]
fn f65_a_node_whose_clock_stepped_back_before_a_cut_loses_and_doubles_no_line() {
    fault!()
        .script("a", paced(1..=100, seconds(1)))
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(50), Interruption::Reset);
        })
        .meanwhile(|stage| async move {
            tokio::time::sleep(Duration::from_millis(39_500)).await;
            stage.cluster().clock().offset_node(SignedDuration::from_secs(-30));
        })
        .run()
        .expect(Expected::succeeded().within(minutes(2)).lines(100).more("get pods/log", 1));
}

#[test]
fn f65_a_node_whose_clock_steps_back_during_a_cut_loses_and_doubles_no_line() {
    fault!()
        .script("a", paced(1..=100, seconds(1)))
        .cluster(|cluster| {
            cluster.faults().on("get", "pods/log", "a-*").nth(1).interrupt(After::Lines(50), Interruption::Reset);
        })
        .meanwhile(|stage| async move {
            // Right behind the last line before the cut.
            tokio::time::sleep(Duration::from_millis(49_050)).await;
            stage.cluster().clock().offset_node(SignedDuration::from_secs(-30));
        })
        .run()
        .expect(Expected::succeeded().within(minutes(2)).lines(100).more("get pods/log", 1));
}

#[test]
fn f66_of_many_logs_some_wait_for_their_turn_and_are_read_whole() {
    const STEPS: usize = 70;
    let steps: String =
        (1..=STEPS).map(|n| format!("  - {{id: s{n:02}, type: k8s, config: {{image: x}}, command: work}}\n")).collect();
    let expected =
        (1..=STEPS).fold(Expected::succeeded(), |expected, n| expected.log(&format!("s{n:02}"), lines(1..=3)));
    let seen = fault!()
        .workflow(format!("steps:\n{steps}"))
        .script("*", Script::new().print(lines(1..=2)).sleep(seconds(30)).print(lines([3])))
        .run();
    assert_eq!(seen.screen.matches("its log is read later").count(), STEPS - 64, "{}", seen.screen);
    // Those that waited had ended when they were read.
    seen.expect(expected.more("get pods/log", 64 - STEPS as isize).in_any_order());
}
