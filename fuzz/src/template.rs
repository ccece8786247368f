//! The grammar of `${…}`: nothing gets lost, and what is taken for a variable is one by itself.

use model::template::{Operation, Part, has_variable, parse};

/// Takes a text apart.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts = parse(&text);
    assert_eq!(has_variable(&text), parts.iter().any(|part| matches!(part, Part::Variable(_))), "{text:?}");

    let mut joined = String::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(piece) => {
                assert!(!piece.is_empty(), "{parts:?}");
                let alone = index.checked_sub(1).and_then(|before| parts.get(before));
                assert!(!matches!(alone, Some(Part::Text(_))), "two texts in a row: {parts:?}");
                joined.push_str(piece);
            }
            Part::Dollar => joined.push_str(r"\$"),
            Part::Variable(variable) => {
                assert_eq!(parse(variable.written).as_slice(), std::slice::from_ref(part), "{text:?}");
                assert!(is_variable(variable.written), "{text:?}: {variable:?}");
                assert!(is_name(variable.name), "{variable:?}");
                let path = variable.path.map_or(String::new(), |path| format!(".{path}"));
                let operation = match variable.operation {
                    None => String::new(),
                    Some(Operation::Default(text)) => format!(":-{text}"),
                    Some(Operation::Alternative(text)) => format!(":+{text}"),
                    // Zeros before a number are lost.
                    Some(Operation::Slice { .. }) => {
                        let (_, slice) = variable.written.split_once(':').expect("a slice has a colon");
                        format!(":{}", slice.trim_end_matches('}'))
                    }
                };
                let inside = format!("{}{path}{operation}", variable.name);
                assert!(
                    variable.written == format!("${{{inside}}}") || variable.written == format!("${inside}"),
                    "{variable:?}"
                );
                joined.push_str(variable.written);
            }
        }
    }
    assert_eq!(joined, text, "the parts put together");
}

/// Whether the whole of a text is a variable, told without the reader.
fn is_variable(text: &str) -> bool {
    let Some(text) = text.strip_prefix('$') else { return false };
    let Some(inside) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return is_name(text) };
    if inside.contains('}') {
        return false;
    }
    let (place, operation) = match inside.split_once(':') {
        Some((place, operation)) => (place, Some(operation)),
        None => (inside, None),
    };
    let mut segments = place.split('.');
    let named = segments.next().is_some_and(is_name);
    let path = segments.all(|segment| {
        !segment.is_empty()
            && segment.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
    });
    let numbers = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let operates = operation.is_none_or(|operation| {
        operation.starts_with(['-', '+'])
            || match operation.split_once(':') {
                Some((start, length)) => numbers(start) && numbers(length),
                None => numbers(operation),
            }
    });
    named && path && operates
}

fn is_name(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
    digits || word
}
