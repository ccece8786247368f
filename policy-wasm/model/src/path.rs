//! How a place inside a document is written: dots and `[i]`, as `env[0].value` or `resources.limits["nvidia.com/gpu"]`.

use std::fmt::Write as _;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// Appends `key` to `path`: after a dot, or in brackets and quotes when it is not `[A-Za-z_][A-Za-z0-9_-]*`.
pub fn push_key(path: &mut String, key: &str) {
    let mut chars = key.chars();
    let plain = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_' || rest == '-');
    if plain {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push_str("[\"");
        for character in key.chars() {
            if matches!(character, '"' | '\\') {
                path.push('\\');
            }
            path.push(character);
        }
        path.push_str("\"]");
    }
}

/// Appends `[index]` to `path`.
pub fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}

/// `path` with `key` appended.
pub fn key(path: &str, key: &str) -> String {
    let mut joined = String::with_capacity(path.len() + key.len() + 1);
    joined.push_str(path);
    push_key(&mut joined, key);
    joined
}

/// `path` with `[index]` appended.
pub fn index(path: &str, index: usize) -> String {
    let mut joined = path.to_owned();
    push_index(&mut joined, index);
    joined
}

/// `inner` as seen from where `outer` starts: `config` and `env[0]` give `config.env[0]`.
pub fn join(outer: &str, inner: &str) -> String {
    match (outer.is_empty(), inner.is_empty()) {
        (true, _) => inner.to_owned(),
        (_, true) => outer.to_owned(),
        _ if inner.starts_with('[') => format!("{outer}{inner}"),
        _ => format!("{outer}.{inner}"),
    }
}

/// Reads a path; none: it is not one.
pub fn parse(path: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let mut key = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next()? {
                    (_, '\\') => key.push(chars.next()?.1),
                    (end, '"') => break end,
                    (_, other) => key.push(other),
                }
            };
            segments.push(Segment::Key(key));
            rest = quoted.get(end + 1..)?.strip_prefix(']')?;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (digits, after) = index.split_once(']')?;
            segments.push(Segment::Index(digits.parse().ok()?));
            rest = after;
        } else {
            let rest_of_key = if segments.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = rest_of_key.find(['.', '[']).unwrap_or(rest_of_key.len());
            let key = rest_of_key.get(..end).filter(|key| !key.is_empty())?;
            segments.push(Segment::Key(key.to_owned()));
            rest = rest_of_key.get(end..)?;
        }
    }
    Some(segments)
}

/// The value at a path of a document; none: there is no such place.
pub fn value_at<'a>(document: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    parse(path)?.into_iter().try_fold(document, |here, segment| match segment {
        Segment::Key(key) => here.get(key),
        Segment::Index(index) => here.get(index),
    })
}

/// Whether `path` is `ancestor` or lies inside it. The empty path holds everything.
pub fn is_within(path: &str, ancestor: &str) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) => ancestor.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    }
}

/// The path itself, then each place above it, the empty path last.
pub fn ancestors(path: &str) -> Vec<&str> {
    let mut cuts = vec![path.len()];
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in path.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '.' | '[' if !quoted => cuts.push(at),
            _ => {}
        }
    }
    cuts.push(0);
    cuts.sort_unstable_by(|left, right| right.cmp(left));
    cuts.dedup();
    cuts.into_iter().filter_map(|cut| path.get(..cut)).collect()
}

/// The path one step up; none for the empty path.
pub fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    // The last `.` or `[` outside a quoted key begins the last segment.
    let (mut cut, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in path.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '.' | '[' if !quoted => cut = at,
            _ => {}
        }
    }
    path.get(..cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_and_read_back() {
        let mut path = String::new();
        push_key(&mut path, "resources");
        push_key(&mut path, "limits");
        push_key(&mut path, "nvidia.com/gpu");
        push_index(&mut path, 3);
        push_key(&mut path, "a\"b");
        push_key(&mut path, "name");
        assert_eq!(path, r#"resources.limits["nvidia.com/gpu"][3]["a\"b"].name"#);
        let keys = |key: &str| Segment::Key(key.to_owned());
        assert_eq!(
            parse(&path),
            Some(vec![
                keys("resources"),
                keys("limits"),
                keys("nvidia.com/gpu"),
                Segment::Index(3),
                keys("a\"b"),
                keys("name")
            ])
        );
        assert_eq!(parse("a..b"), None);
        assert_eq!(parse("a[x]"), None);
    }

    #[test]
    fn parents_go_up_one_step_at_a_time() {
        let mut path = Some(r#"a.b["x.y[0]"][2].c"#);
        let mut seen = Vec::new();
        while let Some(here) = path {
            seen.push(here);
            path = parent(here);
        }
        assert_eq!(seen, ancestors(r#"a.b["x.y[0]"][2].c"#));
        assert_eq!(seen, [r#"a.b["x.y[0]"][2].c"#, r#"a.b["x.y[0]"][2]"#, r#"a.b["x.y[0]"]"#, "a.b", "a", ""]);
    }

    #[test]
    fn within_respects_segments() {
        assert!(is_within("env[0].name", "env"));
        assert!(is_within("env", "env"));
        assert!(!is_within("env_from", "env"));
        assert!(is_within("anything", ""));
    }
}
