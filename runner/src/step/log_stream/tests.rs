//! Faults of real clusters, each a test; the laws are beside.

use bytes::Bytes;

use super::{LINE_LIMIT, LogReader, Piece, Position};
use server::Server;

mod laws;
mod node;
mod server;

const MIB: usize = 1024 * 1024;

fn text_of(out: &[Piece]) -> Vec<u8> {
    let texts = out.iter().filter_map(|piece| match piece {
        Piece::Text { text, .. } => Some(text.as_ref()),
        Piece::Gap { .. } | Piece::Unavailable { .. } => None,
    });
    texts.collect::<Vec<_>>().concat()
}

/// A reader and what came out of it so far.
#[derive(Default)]
struct Screen {
    reader: LogReader,
    out: Vec<Piece>,
}

impl Screen {
    /// A connection with this answer. Returns what was asked for.
    fn connect(&mut self, answer: impl AsRef<[u8]>) -> String {
        let since = self.reader.connect();
        self.receive(answer);
        since.map_or_else(|| "the beginning".to_owned(), |since| since.to_string())
    }

    fn receive(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.receive(Bytes::copy_from_slice(bytes.as_ref()), &mut self.out);
    }

    fn disconnect(&mut self) {
        self.reader.disconnect(&mut self.out);
    }

    fn finish(&mut self) {
        self.reader.finish(&mut self.out);
    }

    /// What came since the last look, a word for what is no text.
    #[track_caller]
    fn shows(&mut self, expected: &str) {
        let mut shown = String::new();
        for piece in self.out.drain(..) {
            match piece {
                Piece::Text { text, partial } => {
                    assert!(!partial);
                    shown.push_str(std::str::from_utf8(&text).unwrap());
                }
                Piece::Gap { last, next: Some(next) } => shown.push_str(&format!("[gap {last} {next}]")),
                Piece::Gap { last, next: None } => shown.push_str(&format!("[gap {last}]")),
                Piece::Unavailable { text } => shown.push_str(&format!("[unavailable: {text}]")),
            }
        }
        assert_eq!(shown, expected);
    }
}

/// A line: its stamp says the second and the fraction.
fn line(seconds: &str, text: &str) -> String {
    format!("{} {text}\n", at(seconds))
}

fn at(seconds: &str) -> String {
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    format!("2026-01-01T00:00:{second}.{fraction:0<9}Z")
}

#[test]
fn f01_an_end_of_the_stream_is_a_cut_and_no_message() {
    let mut screen = Screen::default();
    assert_eq!(screen.connect(line("01.5", "one") + &line("02.5", "two")), "the beginning");
    screen.disconnect();
    assert_eq!(screen.connect(line("02.5", "two") + &line("03.5", "three")), "2026-01-01T00:00:02Z");
    screen.finish();
    screen.shows("one\ntwo\nthree\n");
}

#[test]
fn f04_lines_with_one_stamp_around_a_cut_are_not_doubled() {
    let mut screen = Screen::default();
    screen.connect(line("01.5", "a") + &line("01.5", "b"));
    screen.connect(line("01.5", "a") + &line("01.5", "b") + &line("01.5", "b") + &line("01.5", "c"));
    screen.connect(line("01.5", "a") + &line("01.5", "b") + &line("01.5", "b") + &line("01.5", "c") + &line("02", "d"));
    screen.finish();
    screen.shows("a\nb\nb\nc\nd\n");
}

#[test]
fn f05_a_cut_in_a_full_second_loses_nothing() {
    let lines: Vec<String> = (0..100).map(|index| line(&format!("01.{index:03}"), &index.to_string())).collect();
    let whole = lines.concat();
    for cut in [0, 1, 29, 30, 31, 32, 33, 1650, whole.len() - 1, whole.len()] {
        let mut screen = Screen::default();
        screen.connect(&whole[..cut]);
        screen.disconnect();
        screen.connect(&whole);
        screen.finish();
        screen.shows(&(0..100).map(|index| format!("{index}\n")).collect::<String>());
    }
}

#[test]
fn f06_lines_older_than_the_last_are_dropped_to_the_nanosecond() {
    let mut screen = Screen::default();
    screen.connect(line("01.000000001", "a") + &line("01.000000002", "b"));
    let since = screen.connect(line("01.000000001", "a") + &line("01.000000002", "b") + &line("01.000000003", "c"));
    assert_eq!(since, "2026-01-01T00:00:01Z");
    // Also of earlier seconds, should a caller ask for more than it has to.
    screen.connect(line("00.9", "z") + &line("01.000000001", "a") + &line("01.000000002", "b"));
    screen.receive(line("01.000000003", "c") + &line("01.000000004", "d"));
    screen.finish();
    screen.shows("a\nb\nc\nd\n");
}

#[test]
fn f07_a_line_in_parts_is_one_line() {
    let mut server = Server::default();
    let long = "x".repeat(40 * 1024) + "\n";
    server.add(&at("01.9"), long.as_bytes(), 50_000_000);
    server.add(&at("03"), b"short\n", 0);
    let whole = server.answer(None, 0, 2);
    let mut screen = Screen::default();
    screen.connect(&whole[..20_000]);
    screen.disconnect();
    screen.shows("");
    screen.connect(&whole);
    screen.shows(&(long + "short\n"));
    // From the middle of the long line on: its rest comes without a stamp.
    let rest = server.answer("2026-01-01T00:00:02Z".parse().ok(), 0, 2);
    assert!(rest.starts_with(b"xxx"));
    screen.connect(rest);
    screen.receive(line("04", "new"));
    screen.finish();
    screen.shows("new\n");
}

#[test]
fn f07_a_line_beyond_the_limit_goes_on_in_pieces_and_resumes_inside() {
    let long = [vec![b'x'; 40 * MIB], b"\n".to_vec()].concat();
    let answer = [line("01", "before"), at("02"), " ".to_owned()].concat().into_bytes();
    let answer = [&answer, &long, line("03", "after").as_bytes()].concat();
    for crash in [false, true] {
        let mut screen = Screen::default();
        for cut in [MIB / 2, 3 * MIB, 3 * MIB - 500_000, 20 * MIB + 1, 40 * MIB + 98, answer.len()] {
            let journal = serde_json::to_string(&screen.reader.position()).unwrap();
            if crash {
                screen.reader = LogReader::resume(serde_json::from_str(&journal).unwrap());
            }
            screen.connect("");
            for chunk in answer[..cut].chunks(48 * 1024) {
                screen.receive(chunk);
                assert!(screen.reader.unfinished.capacity() <= 2 * MIB);
            }
            screen.disconnect();
        }
        screen.finish();
        for piece in &screen.out {
            let Piece::Text { text, partial } = piece else { panic!("{piece:?}") };
            assert!(text.len() <= MIB);
            assert_eq!(*partial, text.starts_with(b"xx") || text.ends_with(b"x\n"), "{}", text.len());
        }
        assert!(text_of(&screen.out) == [b"before\n", &long[..], b"after\n"].concat());
    }
}

#[test]
fn f07_the_limit_does_not_depend_on_the_chunks() {
    let header = at("01").len() + 1;
    for (length, is_whole) in [(LINE_LIMIT - header, true), (LINE_LIMIT - header + 1, false), (3 * LINE_LIMIT, false)] {
        let answer = [at("01").as_bytes(), b" ", &vec![b'x'; length], b"\n"].concat();
        for chunk in [1000, LINE_LIMIT, answer.len() - 1, answer.len()] {
            let mut screen = Screen::default();
            answer.chunks(chunk).for_each(|chunk| screen.receive(chunk));
            let kinds = screen.out.iter().map(|piece| matches!(piece, Piece::Text { partial: false, .. }));
            assert!(kinds.into_iter().all(|whole| whole == is_whole), "{length} {chunk}");
            assert_eq!(text_of(&screen.out).len(), length + 1);
        }
    }
}

#[test]
fn f07_a_line_without_a_stamp_stays_in_its_place_and_comes_once() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + "words of a proxy\n" + &line("02", "b") + "more\n\n");
    screen.connect(line("02", "b") + "more\n\n" + "and more\n" + &line("03", "c"));
    // They were not in the file: nothing is taken for them.
    screen.receive("lost\n");
    screen.connect(line("03", "c") + &line("04", "d") + "new\n");
    screen.finish();
    screen.shows("a\nwords of a proxy\nb\nmore\n\nand more\nc\nlost\nd\nnew\n");
}

#[test]
fn f08_the_words_of_the_kubelet_are_not_the_log() {
    let known = [
        "unable to retrieve container logs for containerd://8d1f",
        "failed to try resolving symlinks in path \"/var/log\": no such file",
        "failed to open log file \"/var/log/0.log\"",
        "failed to create fsnotify watcher: too many open files",
    ];
    for words in known {
        // Alone, with and without a line end, and behind lines.
        for end in ["", "\n"] {
            let mut screen = Screen::default();
            screen.connect(format!("{words}{end}"));
            screen.disconnect();
            screen.shows(&format!("[unavailable: {words}]"));
            screen.connect(format!("{}{words}{end}", line("01", "a")));
            screen.disconnect();
            screen.shows(&format!("a\n[unavailable: {words}]"));
            screen.connect(format!("{words}{end}"));
            screen.disconnect();
            screen.shows(&format!("[unavailable: {words}]"));
            screen.connect(line("01", "a") + &line("02", words));
            screen.finish();
            screen.shows(&format!("{words}\n"));
        }
    }
}

#[test]
fn f08_other_words_at_the_end_of_an_answer_are_kept() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + "rpc error: code = NotFound");
    screen.disconnect();
    screen.connect(line("01", "a") + &line("02", "b"));
    screen.finish();
    screen.shows("a\nrpc error: code = NotFound\nb\n");
}

#[test]
fn f12_empty_lines_stay() {
    let mut screen = Screen::default();
    // A runtime may leave the space away.
    screen.connect(line("01", "") + &at("01") + "\n" + &line("01", "") + &line("02", "x") + &line("03", ""));
    screen.connect(line("03", "") + &line("03", "") + &line("04", "y"));
    screen.finish();
    screen.shows("\n\n\nx\n\n\ny\n");
}

#[test]
fn f61_bytes_pass_unchanged_wherever_chunks_end() {
    let text = b"\xff\0 \xc3\xa9 10%\r20%\r\x1b[2J\r\n 2026-01-01T00:00:00Z \xc3";
    let mut answer = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        answer.extend_from_slice(at("01").as_bytes());
        answer.push(b' ');
        answer.extend_from_slice(line);
    }
    for chunk in 1..answer.len() {
        let mut screen = Screen::default();
        answer.chunks(chunk).for_each(|chunk| screen.receive(chunk));
        screen.finish();
        assert_eq!(text_of(&screen.out), text, "{chunk}");
    }
}

#[test]
fn f62_a_last_line_without_line_end_stays_so() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + &at("02") + " the end");
    screen.shows("a\n");
    screen.disconnect();
    screen.shows("");
    // The closing read.
    screen.connect(line("01", "a") + &at("02") + " the end");
    screen.finish();
    screen.shows("the end");
}

#[test]
fn f09_what_came_of_a_line_is_kept_when_the_log_is_gone() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + &at("02") + " half a li");
    screen.disconnect();
    screen.connect(line("01", "a") + &at("02") + " half");
    screen.disconnect();
    screen.connect("unable to retrieve container logs for containerd://8d1f");
    screen.disconnect();
    screen.reader.abandon(&mut screen.out);
    screen.shows("a\n[unavailable: unable to retrieve container logs for containerd://8d1f]half a li");
}

#[test]
fn f64_rotation_during_a_cut_is_one_gap() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + &line("02", "b"));
    screen.connect(line("05", "e") + &line("06", "f"));
    screen.connect(line("06", "f") + &line("07", "g"));
    screen.finish();
    screen.shows(&format!("a\nb\n[gap {} {}]e\nf\ng\n", at("02"), at("05")));
}

#[test]
fn f64_a_closing_read_that_does_not_show_the_last_line_proves_nothing() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a"));
    screen.connect("");
    assert!(screen.reader.is_searching());
    screen.disconnect();
    screen.finish();
    screen.shows(&format!("a\n[gap {}]", at("01")));
}

#[test]
fn f64_rotation_inside_equal_stamps_is_told() {
    // Three of five are gone; the fifth of what is there is another line.
    let row: Vec<String> = (0..8).map(|index| line("01.5", &index.to_string())).collect();
    let mut screen = Screen::default();
    screen.connect(row[..5].concat());
    screen.connect(row[3..].concat() + &line("02", "next"));
    screen.finish();
    screen.shows(&format!("0\n1\n2\n3\n4\n[gap {} {}]next\n", at("01.5"), at("02")));
}

#[test]
fn f64_with_a_clock_that_stepped_back_the_caller_decides() {
    let mut screen = Screen::default();
    screen.connect(line("31", "a") + &line("01", "b"));
    screen.reader.give_up(&mut screen.out);
    // Before the step, and known? Behind it, and new? Both lines are stamped between the two.
    screen.connect(line("03", "d") + &line("04", "e"));
    screen.shows("a\nb\n");
    assert!(screen.reader.is_in_doubt());
    screen.reader.give_up(&mut screen.out);
    screen.shows(&format!("[gap {} {}]d\ne\n", at("01"), at("03")));
    screen.receive(line("05", "f"));
    screen.reader.give_up(&mut screen.out);
    screen.shows("f\n");
}

#[test]
fn f64_giving_up_on_a_silent_answer_is_no_gap_yet() {
    let mut screen = Screen::default();
    screen.connect(line("01", "b"));
    screen.connect("");
    screen.reader.give_up(&mut screen.out);
    screen.receive(line("01", "b") + &line("02", "c"));
    screen.shows("b\nc\n");
    screen.connect("");
    screen.reader.give_up(&mut screen.out);
    screen.receive(line("03", "d"));
    screen.shows(&format!("[gap {} {}]d\n", at("02"), at("03")));
}

#[test]
fn f64_a_file_that_comes_twice_is_shown_once_and_what_it_hides_is_told() {
    let mut screen = Screen::default();
    screen.connect(line("01", "a") + &line("02", "b"));
    // The node hears of two new files, and opens the second one twice.
    let newest = line("05", "e") + &line("06", "f") + &line("07", "g");
    screen.receive(&newest);
    screen.shows("a\nb\ne\nf\ng\n");
    screen.receive(&newest);
    screen.receive(line("08", "h"));
    screen.shows(&format!("[gap {} {}]h\n", at("02"), at("05")));
    // And of a third: nothing more is hidden.
    screen.receive(newest + &line("08", "h") + &line("09", "i"));
    screen.finish();
    screen.shows("i\n");
}

#[test]
fn f64_what_may_be_old_is_not_passed_on_when_the_node_goes_away() {
    let mut screen = Screen::default();
    screen.connect(line("05", "e") + &line("06", "f") + &line("07", "g"));
    screen.receive(line("06", "f") + &at("07") + " g");
    screen.disconnect();
    screen.reader.abandon(&mut screen.out);
    screen.shows("e\nf\ng\n");
}

#[test]
fn f65_two_streams_that_overtake_each_other_are_in_order_of_arrival() {
    let mut screen = Screen::default();
    screen.connect(line("01.000000900", "out") + &line("01.000000800", "error"));
    assert!(screen.reader.is_in_doubt());
    screen.receive(line("01.000000901", "next"));
    assert!(!screen.reader.is_in_doubt());
    screen.shows("out\nerror\nnext\n");
    // The last two lines.
    screen.receive(line("01.000000850", "error"));
    screen.finish();
    screen.shows("error\n");
}

#[test]
fn f65_after_a_step_back_of_the_clock_order_of_arrival_counts() {
    let mut screen = Screen::default();
    let before = line("30", "a") + &line("31", "b");
    let after = line("01", "c") + &line("02", "d");
    screen.connect(before.clone() + &after);
    screen.reader.give_up(&mut screen.out);
    screen.shows("a\nb\nc\nd\n");
    assert_eq!(screen.connect(before + &line("02", "d") + &line("03", "e") + &line("31", "f")), "2026-01-01T00:00:02Z");
    screen.finish();
    screen.shows("e\nf\n");
}

#[test]
fn f65_what_is_in_doubt_at_a_cut_is_asked_for_again() {
    let mut screen = Screen::default();
    screen.connect(line("30", "a") + &line("31", "b") + &line("01", "c") + &line("02", "d"));
    screen.disconnect();
    screen.shows("a\nb\n");
    let answer = line("30", "a") + &line("31", "b") + &line("01", "c") + &line("02", "d") + &line("03", "e");
    assert_eq!(screen.connect(answer), "2026-01-01T00:00:01Z");
    screen.reader.give_up(&mut screen.out);
    screen.shows("c\nd\ne\n");
}

#[test]
fn f65_a_step_back_onto_the_same_nanosecond_finds_the_right_line() {
    let mut screen = Screen::default();
    let lines = line("01", "a") + &line("02", "b") + &line("01", "c");
    screen.connect(&lines);
    screen.reader.give_up(&mut screen.out);
    screen.connect(lines + &line("03", "d"));
    screen.finish();
    screen.shows("a\nb\nc\nd\n");
}

#[test]
fn f65_what_is_held_is_bounded() {
    let text = "x".repeat(1000);
    let before: String = (0..3000).map(|index| line(&format!("30.{index:04}"), &text)).collect();
    for is_crash in [false, true] {
        let mut screen = Screen::default();
        screen.connect(before.clone() + &line("01", "last"));
        screen.reader.give_up(&mut screen.out);
        screen.out.clear();
        if is_crash {
            screen.reader = LogReader::resume(screen.reader.position());
        }
        screen.connect("");
        for chunk in before.as_bytes().chunks(10_000) {
            screen.receive(chunk);
            let super::Phase::Searching(search) = &screen.reader.phase else { panic!("found") };
            assert!(search.held_bytes() <= LINE_LIMIT);
        }
        screen.receive(line("01", "last") + &line("02", "new"));
        screen.finish();
        screen.shows("new\n");
    }
}

#[test]
fn f65_a_clock_that_stays_behind_holds_up_no_more_than_a_mebibyte() {
    let mut screen = Screen::default();
    let text = "x".repeat(1000);
    screen.connect(line("31", "a"));
    let after: Vec<String> = (0..2000).map(|index| line(&format!("01.{index:04}"), &text)).collect();
    for line in &after {
        screen.receive(line);
    }
    let held = 2000 - (text_of(&screen.out).len() - 2) / (text.len() + 1);
    assert_eq!(held, 0, "the doubt ends with what can be held");
    let whole = text_of(&screen.out);
    assert_eq!(whole.len(), 2 + 2000 * (text.len() + 1));
}

#[test]
fn stamps_with_cut_fractions_and_zones_are_known() {
    let mut screen = Screen::default();
    screen.connect("2026-01-01T00:00:01.5Z a\n2026-01-01T01:00:02+01:00 b\n2026-01-01T00:00:02.000Z c\n");
    // Another server writes them in another way.
    let since = screen.connect(line("02", "b") + &line("02", "c") + &line("02.000000001", "d"));
    assert_eq!(since, "2026-01-01T00:00:02Z");
    screen.finish();
    screen.shows("a\nb\nc\nd\n");
}

#[test]
fn what_only_looks_like_a_stamp_is_text() {
    let lines = "2026-01-01 00:00:01Z a\n20260101T000001Z b\n2026-13-01T00:00:01Z c\n2026-01-01T00:00:01 d\n-\n";
    let mut screen = Screen::default();
    screen.connect(lines);
    screen.finish();
    screen.shows(lines);
}

#[test]
fn a_position_is_short_in_the_journal_and_comes_back() {
    let json = |position: &Position| serde_json::to_string(position).unwrap();
    let mut screen = Screen::default();
    assert_eq!(json(&screen.reader.position()), "{}");
    screen.connect(line("01.5", "a") + &line("01.5", "b"));
    let position = screen.reader.position();
    let text = r#"{"last":{"stamp":"2026-01-01T00:00:01.500000000Z","count":2,"digest":3876335077}}"#;
    assert_eq!(json(&position), text);
    assert_eq!(serde_json::from_str::<Position>(text).unwrap(), position);
    assert!(serde_json::from_str::<Position>(&text.replace("01.5", "61.5")).is_err());
}
