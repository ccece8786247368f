//! Names whose value is final: a text in one of these types keeps the rule of its kind.
//!
//! Fields that may still hold `${VAR}` are plain text in [`crate::config`]; they become one of these at the earliest
//! just before a Job is built.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::syntax::{Syntax, Violation, shown};

/// Makes a text type that can only be built by its check.
macro_rules! name {
    ($(#[doc = $doc:literal])* $name:ident, $check:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Violation;

            fn try_from(text: String) -> Result<Self, Violation> {
                let check: fn(&str) -> Result<(), Violation> = $check;
                check(&text).map(|()| Self(text))
            }
        }

        impl FromStr for $name {
            type Err = Violation;

            fn from_str(text: &str) -> Result<Self, Violation> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Name of a Job, as `load-data-k3x7q2m5ab`: a DNS label of at most 51 characters. Its pods' names, which the Job
    /// controller makes longer, stay DNS labels and so keep their host names.
    ///
    /// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#writing-a-job-spec>
    JobName, job_name
}

name! {
    /// Name of a namespace, as `team-a`: a DNS label.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
    Namespace, |text| Syntax::DnsLabel.check(text)
}

name! {
    /// Id of a run: 1 to 64 letters, digits, `-` and `_`. It may be longer than a label value and may end with `-`; the
    /// label `runner/run-id` holds a shortened form then.
    ///
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
    RunId, run_id
}

/// 40 characters of the step's name, `-`, 10 of a hash: far enough below the 63 of a label.
const JOB_NAME_LENGTH: usize = 51;

fn job_name(text: &str) -> Result<(), Violation> {
    Syntax::DnsLabel.check(text)?;
    if text.len() > JOB_NAME_LENGTH {
        return Err(Violation {
            message: format!(
                "`{}` is too long for the name of a Job: at most {JOB_NAME_LENGTH} characters",
                shown(text)
            ),
            help: Some("the names of its pods are longer and must be DNS labels too".to_owned()),
            fix: None,
        });
    }
    Ok(())
}

fn run_id(text: &str) -> Result<(), Violation> {
    let valid = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if valid {
        return Ok(());
    }
    Err(Violation {
        message: format!("`{}` is not a run id: 1 to 64 letters, digits, `-` and `_`", shown(text)),
        help: Some("write one as `nightly-2026-01-31`".to_owned()),
        fix: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_leaves_room_for_its_pods() {
        assert!("a".repeat(51).parse::<JobName>().is_ok());
        assert!("a".repeat(52).parse::<JobName>().is_err());
        for wrong in ["", "-a", "A", "a.b", "a_b"] {
            assert!(wrong.parse::<JobName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_id_is_letters_digits_dash_and_underscore() {
        for id in ["1", "render", "2026-01-31_x", "-", &"x".repeat(64)] {
            assert_eq!(id.parse::<RunId>().expect(id).to_string(), id);
        }
        for wrong in ["", "a b", "a/b", "ä", "a.b", &"x".repeat(65)] {
            assert!(wrong.parse::<RunId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn reading_json_checks_too() {
        assert!(serde_json::from_str::<Namespace>("\"team-a\"").is_ok());
        let error = serde_json::from_str::<Namespace>("\"Team\"").expect_err("upper case");
        assert!(error.to_string().contains("`Team` is not a DNS label"), "{error}");
    }
}
