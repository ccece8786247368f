//! Kubernetes' rules for names, each with its own words for what is wrong.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// A DNS label of at most 63 characters: namespaces, containers, volumes.
pub(crate) fn dns_label(text: &str) -> Option<String> {
    too_long(text, 63).or_else(|| (!is_label(text)).then(|| LABEL.to_owned()))
}

/// A DNS subdomain of at most 253 characters: most objects.
pub(crate) fn dns_subdomain(text: &str) -> Option<String> {
    too_long(text, 253).or_else(|| (!is_subdomain(text)).then(|| SUBDOMAIN.to_owned()))
}

/// What may begin the name of a ConfigMap or Secret: as Kubernetes does, the last two characters do not count when it ends
/// with a dash.
pub(crate) fn beginning(text: &str) -> Option<String> {
    let shorter = text.strip_suffix('-').and_then(|rest| rest.get(..rest.len().checked_sub(1)?));
    shorter.map_or_else(|| dns_subdomain(text), |rest| dns_subdomain(&format!("{rest}a")))
}

/// The name of a kernel parameter.
pub(crate) fn is_sysctl(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let is_part = |part: &str| {
        part.chars().all(is_inner) && is_alphanumeric(part.chars().next()) && is_alphanumeric(part.chars().next_back())
    };
    text.len() <= 253 && text.split(['.', '/']).all(is_part)
}

/// A label key or annotation key: `name` or `prefix/name`.
pub(crate) fn label_key(text: &str) -> Option<String> {
    let name = match text.split_once('/') {
        Some(("", _)) => return Some("prefix part must be non-empty".to_owned()),
        Some((prefix, name)) => {
            if let Some(problem) = dns_subdomain(prefix) {
                return Some(format!("prefix part {problem}"));
            }
            name
        }
        None => text,
    };
    match name {
        "" => Some("name part must be non-empty".to_owned()),
        _ if name.len() > 63 => Some("name part must be no more than 63 bytes".to_owned()),
        _ => (!is_qualified(name)).then(|| QUALIFIED.to_owned()),
    }
}

/// A label's value.
pub(crate) fn label_value(text: &str) -> Option<String> {
    too_long(text, 63).or_else(|| (!text.is_empty() && !is_qualified(text)).then(|| LABEL_VALUE.to_owned()))
}

/// A key of a ConfigMap or Secret.
pub(crate) fn data_key(text: &str) -> Option<String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text {
        "." | ".." => return Some(format!("must not be '{text}'")),
        _ if text.starts_with("..") => return Some("must not start with '..'".to_owned()),
        _ => {}
    }
    too_long(text, 253).or_else(|| (text.is_empty() || !text.chars().all(is_fine)).then(|| DATA_KEY.to_owned()))
}

/// The name of an environment variable: any printable ASCII but `=`.
pub(crate) fn env_name(text: &str) -> Option<String> {
    let is_fine = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '=';
    (!text.chars().all(is_fine)).then(|| {
        "a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()
    })
}

fn too_long(text: &str, limit: usize) -> Option<String> {
    (text.len() > limit).then(|| format!("must be no more than {limit} bytes"))
}

fn is_label(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && is_alphanumeric(text.chars().next())
        && is_alphanumeric(text.chars().next_back())
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_qualified(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && is_alphanumeric(text.chars().next())
        && is_alphanumeric(text.chars().next_back())
}

fn is_alphanumeric(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "a-1", "0a"] {
            assert_eq!(dns_label(good), None, "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a.b", "a_b", &"a".repeat(64)] {
            assert!(dns_label(bad).is_some(), "{bad}");
        }
        assert_eq!(dns_subdomain("a.b-c.d"), None);
        assert!(dns_subdomain("a..b").is_some());
        assert_eq!(label_key("example.com/My_Key"), None);
        assert!(label_key("/x").is_some() && label_key("a/b/c").is_some() && label_key("a/").is_some());
        assert_eq!(label_value(""), None);
        assert!(label_value("a b").is_some() && label_value("-a").is_some());
        assert_eq!(data_key(".env"), None);
        assert!(data_key("..").is_some() && data_key("..a").is_some() && data_key("a/b").is_some());
        assert!(beginning("a-").is_none() && beginning("A.b-").is_some() && beginning("-").is_some());
        assert!(is_sysctl("net/ipv4.tcp_a") && !is_sysctl("a..b") && !is_sysctl("a_") && !is_sysctl(""));
        assert_eq!(env_name("my.var-1"), None);
        assert!(env_name("A=B").is_some());
    }
}
