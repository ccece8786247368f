//! The laws: a log cut anywhere comes out as it went in; what rotation takes away is told, and nothing else.

use std::io::BufRead;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};
use proptest::{prop_assert, prop_assert_eq};

use super::super::{LogReader, Piece};
use super::node::Node;
use super::server::{Line, Server};
use super::text_of;

/// A connection that ends somewhere.
#[derive(Debug, Clone)]
struct Cut {
    /// How many lines there are when it is opened, at least as many as before.
    written: Index,
    /// Where it ends.
    at: Index,
    chunks: Vec<usize>,
    /// The program is started again from its journal.
    is_crash: bool,
    /// How many lines the file has lost before.
    rotated: Index,
}

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0),
        6 => 1..1_000_i64,
        6 => 1..500_000_000_i64,
        2 => 1_000_000_000..3_000_000_000_i64,
        1 => -3_000_i64..-1,
        1 => -4_000_000_000_i64..-1,
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = |bytes: Vec<u8>| bytes.into_iter().map(|byte| if byte == b'\n' { b'\r' } else { byte }).collect();
    prop_oneof![
        30 => Just(Vec::new()),
        60 => vec(any::<u8>(), 0..60).prop_map(line),
        10 => Just(b"2026-01-01T00:00:00.000000000Z a stamp of the program's own".to_vec()),
        10 => Just(b"unable to retrieve container logs for me".to_vec()),
        6 => (10_000..60_000_usize).prop_map(|length| vec![b'p'; length]),
        1 => (900_000..2_300_000_usize).prop_map(|length| vec![b'm'; length]),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    (any::<Index>(), any::<Index>(), vec(1..3_000_usize, 1..5), any::<bool>(), any::<Index>())
        .prop_map(|(written, at, chunks, is_crash, rotated)| Cut { written, at, chunks, is_crash, rotated })
}

/// Writes lines. A clock that steps back never meets the same nanosecond again.
fn write(lines: Vec<(i64, u8, Vec<u8>)>, ends_with_line_end: bool) -> Server {
    let mut server = Server::default();
    let mut at: Timestamp = "2026-01-01T00:00:00.25Z".parse().unwrap();
    let mut seen = vec![at];
    let count = lines.len();
    for (index, (step, form, mut text)) in lines.into_iter().enumerate() {
        at += SignedDuration::from_nanos(step);
        while step != 0 && seen.contains(&at) {
            at += SignedDuration::from_nanos(1);
        }
        seen.push(at);
        let stamp = match form {
            0 => at.to_string(),
            1 => format!("{}+00:00", at.to_string().trim_end_matches('Z')),
            _ => format!("{at:.9}"),
        };
        if ends_with_line_end || index + 1 < count {
            text.push(b'\n');
        }
        server.add(&stamp, &text, i64::from(form) * 100_000_000);
    }
    server
}

fn lines(count: usize) -> impl Strategy<Value = Vec<(i64, u8, Vec<u8>)>> {
    vec((step(), 0..8_u8, text()), 0..count)
}

/// Reads over all connections, then to the end.
fn read(server: &Server, cuts: &[Cut], has_rotation: bool) -> Vec<Piece> {
    let mut reader = LogReader::new();
    let mut out = Vec::new();
    let count = server.lines.len();
    let (mut end, mut first) = (0, 0);

    for cut in cuts {
        end += cut.written.index(count - end + 1);
        let since = since(&mut reader, server, &out);
        let answer = server.answer(since, first, end);
        let at = cut.at.index(answer.len() + 1);
        give(&mut reader, &answer[..at], &cut.chunks, &mut out);
        reader.disconnect(&mut out);
        if cut.is_crash {
            let journal = serde_json::to_string(&reader.position()).unwrap();
            reader = LogReader::resume(serde_json::from_str(&journal).unwrap());
        }
        if has_rotation && reader.position().stamp().is_some() {
            first += cut.rotated.index(end - first + 1);
        }
    }
    let since = since(&mut reader, server, &out);
    let answer = server.answer(since, first, count);
    give(&mut reader, &answer, &[1000], &mut out);
    reader.finish(&mut out);
    out
}

/// What the reader asks for; earlier where the clock stepped back behind its back. No server sends a new line that is
/// stamped before the second it is asked for.
fn since(reader: &mut LogReader, server: &Server, out: &[Piece]) -> Option<Timestamp> {
    let since = reader.connect()?;
    let passed = match out.iter().rposition(|piece| matches!(piece, Piece::Gap { .. })) {
        // Behind a gap, lines say their index.
        Some(gap) => match text_of(&out[gap..]).lines().map_while(Result::ok).last() {
            Some(line) => line.parse::<usize>().unwrap() + 1,
            None => return Some(since),
        },
        None => {
            let mut left = text_of(out).len();
            let is_passed = |line: &&Line| {
                let is_passed = left >= line.text.len();
                left = left.saturating_sub(line.text.len());
                is_passed
            };
            server.lines.iter().take_while(is_passed).count()
        }
    };
    let new = server.lines.iter().skip(passed);
    let earliest = new.map(|line| line.stamp.parse::<Timestamp>().unwrap().as_second()).min();
    earliest.map_or(Some(since), |earliest| Timestamp::from_second(earliest.min(since.as_second())).ok())
}

fn give(reader: &mut LogReader, answer: &[u8], chunks: &[usize], out: &mut Vec<Piece>) {
    // Byte by byte through a small answer, but not through megabytes.
    let factor = 1 + answer.len() / 10_000;
    let mut rest = answer;
    for chunk in chunks.iter().cycle() {
        if rest.is_empty() {
            return;
        }
        let (now, later) = rest.split_at((chunk * factor).min(rest.len()));
        reader.receive(bytes::Bytes::copy_from_slice(now), out);
        rest = later;
    }
}

proptest! {
    // Long lines cost: these few take as long as all the rest.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_cut_anywhere_resumes_to_the_same_text(
        lines in lines(40), ends_with_line_end in any::<bool>(), cuts in vec(cut(), 0..6),
    ) {
        let server = write(lines, ends_with_line_end);
        let out = read(&server, &cuts, false);
        let other: Vec<&Piece> = out.iter().filter(|piece| !matches!(piece, Piece::Text { .. })).collect();
        prop_assert!(other.is_empty(), "{other:?}");
        let whole: Vec<u8> = server.lines.iter().flat_map(|line| line.text.clone()).collect();
        let text = text_of(&out);
        let same = text.iter().zip(&whole).take_while(|(one, other)| one == other).count();
        prop_assert_eq!((text.len(), same), (whole.len(), whole.len()));
    }

}

proptest! {
    #[test]
    fn rotation_gives_one_gap_where_lines_are_lost_and_no_line_twice(
        steps in vec(step(), 1..60), cuts in vec(cut(), 0..6),
    ) {
        let lines = steps.into_iter().enumerate().map(|(index, step)| (step, 2, index.to_string().into_bytes()));
        let server = write(lines.collect(), true);
        check_gaps(&server, &read(&server, &cuts, true))?;
    }
}

/// Each line says its index.
fn check_gaps(server: &Server, out: &[Piece]) -> Result<(), TestCaseError> {
    let mut before: Option<usize> = None;
    let mut gap = None;
    let mut is_cut = false;
    for piece in out {
        match piece {
            Piece::Text { text, .. } => {
                for line in std::str::from_utf8(text).unwrap().split_inclusive('\n') {
                    let Some(line) = line.strip_suffix('\n') else {
                        // What an earlier connection showed of a line that no later one could.
                        let next = before.map_or(0, |before| before + 1);
                        prop_assert!(server.lines[next].text.starts_with(line.as_bytes()));
                        is_cut = true;
                        continue;
                    };
                    prop_assert!(!is_cut, "a line after the last");
                    let index: usize = line.parse().unwrap();
                    let stamp = |index: usize| server.lines[index].stamp.clone();
                    if let Some(before) = before {
                        prop_assert!(before < index, "{index} after {before}");
                        prop_assert!(before + 1 == index || gap.is_some(), "lost unseen: {before} to {index}");
                        if let Some((last, next)) = gap.take() {
                            prop_assert_eq!((last, next), (stamp(before), Some(stamp(index))));
                        }
                    }
                    before = Some(index);
                }
            }
            Piece::Gap { last, next } => {
                prop_assert!(gap.is_none(), "two gaps in one place");
                prop_assert!(!is_cut || next.is_none(), "a line after the last");
                gap = Some((last.to_string(), next.map(|next| next.to_string())));
            }
            Piece::Unavailable { .. } => prop_assert!(false, "{piece:?}"),
        }
    }
    let is_whole = before.map_or(0, |before| before + 1) == server.lines.len();
    prop_assert!(is_whole || gap.is_some() || before.is_none(), "the end is lost unseen");
    Ok(())
}

/// What happens to a log, its node and its reader.
#[derive(Debug, Clone)]
enum Happens {
    Write(Vec<i64>),
    Rotate,
    /// The node reads as far as it can.
    Read,
    Arrive(usize),
    /// Nothing more comes for long.
    Silence,
    Cut {
        is_crash: bool,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    let later = prop_oneof![3 => Just(0), 6 => 1..1_000_i64, 2 => 1..3_000_000_000_i64];
    prop_oneof![
        6 => vec(later, 1..8).prop_map(Happens::Write),
        3 => Just(Happens::Rotate),
        4 => Just(Happens::Read),
        6 => (1..400_usize).prop_map(Happens::Arrive),
        1 => Just(Happens::Silence),
        1 => any::<bool>().prop_map(|is_crash| Happens::Cut { is_crash }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_node_that_rotates_faster_than_it_reads_doubles_nothing_and_hides_nothing_that_can_be_known(
        story in vec(happens(), 1..60),
    ) {
        let (mut node, mut reader, mut out) = (Node::new(), LogReader::new(), Vec::new());
        let mut follow = node.open(reader.connect());
        let mut untold = Vec::new();
        for event in story {
            match event {
                Happens::Write(steps) => steps.into_iter().for_each(|step| node.write(step)),
                Happens::Rotate => node.rotate(),
                Happens::Read => follow.read(&node),
                Happens::Arrive(most) => reader.receive(follow.receive(most).into(), &mut out),
                Happens::Silence => {
                    follow.read(&node);
                    reader.receive(follow.receive(usize::MAX).into(), &mut out);
                    reader.give_up(&mut out);
                }
                Happens::Cut { is_crash } => {
                    untold.extend(follow.untold());
                    reader.disconnect(&mut out);
                    if is_crash {
                        reader = LogReader::resume(reader.position());
                    }
                    follow = node.open(reader.connect());
                }
            }
        }
        untold.extend(follow.untold());
        reader.disconnect(&mut out);
        let mut closing = node.open(reader.connect());
        closing.read(&node);
        reader.receive(closing.receive(usize::MAX).into(), &mut out);
        reader.finish(&mut out);
        check_story(&node, &untold, &out)?;
    }
}

/// Every line once and in order; what is not there lies in a gap, or nobody could know.
fn check_story(node: &Node, untold: &[Range<usize>], out: &[Piece]) -> Result<(), TestCaseError> {
    let gaps: Vec<(Timestamp, Timestamp)> = out
        .iter()
        .filter_map(|piece| match piece {
            Piece::Gap { last, next } => Some((last.at(), next.map_or(Timestamp::MAX, |next| next.at()))),
            Piece::Text { .. } | Piece::Unavailable { .. } => None,
        })
        .collect();
    let text = String::from_utf8(text_of(out)).unwrap();
    prop_assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text:?}");
    let is_lost = |index: usize| {
        let (at, _) = &node.lines[index];
        gaps.iter().any(|(last, next)| last <= at && at <= next) || untold.iter().any(|lines| lines.contains(&index))
    };
    // Of those that say the same it is only known how many there are between two that say their number.
    let (mut before, mut again) = (None, 0);
    let end = (node.lines.len(), "the end");
    let shown = text.lines().map(|line| (line.parse().unwrap_or(usize::MAX), line));
    for (number, line) in shown.chain([end]) {
        if number == usize::MAX {
            again += 1;
            continue;
        }
        let between = before.map_or(0, |before| before + 1)..number;
        prop_assert!(before.is_none_or(|before| before < number), "`{line}` behind {before:?}: {text}");
        let is_again = |index: &usize| node.lines[*index].1 == "again";
        let there = between.clone().filter(is_again).count();
        let may_miss = between.clone().filter(is_again).filter(|index| is_lost(*index)).count();
        prop_assert!(again <= there, "a line too often before `{line}`: {text}");
        // Nobody knows what was before the very first line.
        if before.is_some() {
            let lost = between.clone().find(|index| !is_again(index) && !is_lost(*index));
            prop_assert!(lost.is_none(), "{lost:?} is lost before `{line}` and no gap tells: {gaps:?} {text}");
            prop_assert!(there - again <= may_miss, "lost before `{line}` and no gap tells: {gaps:?} {text}");
        }
        (before, again) = (Some(number), 0);
    }
    Ok(())
}
