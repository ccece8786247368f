//! The secrets of a run: fetched before its first step, all of them, and never shown.
//!
//! A value lives in a type that prints nothing and is wiped when it is dropped. It is text without zero bytes, because it
//! becomes a variable. What goes wrong is told with the name of the secret, never with a value; all failures come at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use model::workflow::{Secret, SecretProvider};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cluster::{Failure, FailureKind};
use crate::mask::{Mask, MaskError};
use crate::small_file;

/// Largest value, in bytes: what Kubernetes allows a whole Secret (<https://kubernetes.io/docs/concepts/configuration/secret/>).
const LARGEST: u64 = 1 << 20;
/// A file that is not read by then is not there: it may lie on a machine that does not answer.
const FILE: Duration = Duration::from_secs(30);
/// Secrets that are asked for at once.
const AT_ONCE: usize = 8;

/// What a secret asks for, its variables put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the variable.
    pub name: String,
    /// Who has the value.
    pub from: Place,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A variable: of `env` or dotenv, else of this machine.
    Variable(String),
    /// A file.
    File(PathBuf),
    /// A key of a Secret of a cluster.
    Kubernetes {
        /// The Secret.
        secret: ClusterSecret,
        /// The key in its data.
        key: String,
    },
}

/// A Secret of a cluster. What is absent comes from the effective root `kubernetes` block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterSecret {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// A kubeconfig, as written.
    pub kubeconfig: Option<String>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
    /// Index of the source where it stands: a relative kubeconfig starts at the folder of that file.
    pub source: u32,
}

/// A secret that was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret `{name}`: {reason}")]
pub struct SecretError {
    /// Name of the variable.
    pub name: String,
    /// Why, without any value.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A Secret of a cluster was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in the words of the cluster.
    pub reason: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The data of a Secret by key, decoded; none: there is no such Secret.
pub type Data = Option<BTreeMap<String, Vec<u8>>>;

impl SecretError {
    fn new(name: &str, reason: impl Into<String>, help: Option<&str>) -> SecretError {
        SecretError { name: name.to_owned(), reason: reason.into(), help: help.map(str::to_owned) }
    }
}

impl Refusal {
    /// A server that refused, or did not answer.
    pub fn of(failure: &Failure, namespace: &str) -> Refusal {
        let help = (failure.kind == FailureKind::Forbidden).then(|| {
            format!(
                "a Role in namespace `{namespace}` needs the rule {{apiGroups: [\"\"], resources: [secrets], verbs: [get]}}"
            )
        });
        Refusal { reason: failure.words.clone(), help }
    }
}

impl Wanted {
    /// What a secret asks for. `text` puts variables in; a relative file lies below `folder`.
    ///
    /// # Errors
    /// When its key, with its variables put in, is none.
    pub fn of(secret: &Secret, folder: &Path, text: impl Fn(&str) -> String) -> Result<Wanted, SecretError> {
        let key = text(&secret.key);
        if key.trim().is_empty() {
            return Err(SecretError::new(&secret.name, "its key is empty", None));
        }
        let from = match secret.provider {
            SecretProvider::Env => Place::Variable(key),
            SecretProvider::File => Place::File(folder.join(key)),
            SecretProvider::Kubernetes => {
                let (name, data_key) = key
                    .split_once('/')
                    .filter(|(name, data_key)| !name.is_empty() && !data_key.is_empty() && !data_key.contains('/'))
                    .ok_or_else(|| {
                        let help = "write the name of a Secret, `/`, and a key of its data";
                        SecretError::new(&secret.name, format!("`{key}` is not `secret/datakey`"), Some(help))
                    })?;
                let option = |option: &Option<String>| option.as_deref().map(&text).filter(|text| !text.is_empty());
                let secret = ClusterSecret {
                    name: name.to_owned(),
                    namespace: option(&secret.options.namespace),
                    kubeconfig: option(&secret.options.kubeconfig),
                    context: option(&secret.options.context),
                    source: secret.position.source,
                };
                Place::Kubernetes { secret, key: data_key.to_owned() }
            }
        };
        Ok(Wanted { name: secret.name.clone(), from })
    }
}

/// The secrets of a run, in the order of the file.
#[derive(Clone, Default)]
pub struct Secrets(Vec<(String, SecretString)>);

impl Secrets {
    /// Fetches all of them. `variable` looks into `env` and dotenv, then into the environment of this machine; `cluster`
    /// reads a Secret, within limits of its own, and is asked once for each.
    ///
    /// # Errors
    /// All that failed.
    ///
    /// # Cancellation
    /// Nothing is left behind but a file that may still be read.
    pub async fn fetch<F>(
        wanted: &[Wanted],
        variable: impl Fn(&str) -> Option<String>,
        cluster: impl Fn(ClusterSecret) -> F,
    ) -> Result<Secrets, Vec<SecretError>>
    where
        F: Future<Output = Result<Data, Refusal>>,
    {
        let mut asked: Vec<ClusterSecret> = wanted
            .iter()
            .filter_map(|wanted| match &wanted.from {
                Place::Kubernetes { secret, .. } => Some(secret.clone()),
                Place::Variable(_) | Place::File(_) => None,
            })
            .collect();
        asked.sort();
        asked.dedup();
        let answers = asked.into_iter().map(|secret| {
            let answer = cluster(secret.clone());
            async move { (secret, answer.await) }
        });
        let answers: BTreeMap<_, _> = stream::iter(answers).buffer_unordered(AT_ONCE).collect().await;

        let mut secrets = Secrets::default();
        let mut errors = Vec::new();
        for Wanted { name, from } in wanted {
            let fetched = match from {
                Place::Variable(of) => variable(of).map(String::into_bytes).ok_or_else(|| {
                    SecretError::new(name, format!("there is no variable `{of}`"), Some("set it, or an empty one"))
                }),
                Place::File(path) => file(name, path).await,
                Place::Kubernetes { secret, key } => of_cluster(name, secret, key, answers.get(secret)),
            };
            match fetched.and_then(|bytes| text(name, bytes)) {
                Ok(value) => secrets.0.push((name.clone(), value)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(secrets) } else { Err(errors) }
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.expose_secret())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// Hides all of them.
    ///
    /// # Errors
    /// When they are too large together.
    pub fn mask(&self) -> Result<Mask, MaskError> {
        Mask::new(self.iter().map(|(_, value)| value))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The bytes of a file but for one line end at their end.
async fn file(name: &str, path: &Path) -> Result<Vec<u8>, SecretError> {
    let failed = |reason: String| SecretError::new(name, format!("`{}`: {reason}", path.display()), None);
    let of = path.to_owned();
    let read = tokio::task::spawn_blocking(move || small_file::read(&of, LARGEST));
    let mut bytes = match tokio::time::timeout(FILE, read).await {
        Ok(Ok(read)) => read.map_err(|unread| failed(unread.to_string()))?,
        Ok(Err(stopped)) => return Err(failed(format!("it was not read: {stopped}"))),
        Err(_) => return Err(failed(format!("it was not read within {} s", FILE.as_secs()))),
    };
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    Ok(bytes)
}

fn of_cluster(
    name: &str,
    secret: &ClusterSecret,
    key: &str,
    answer: Option<&Result<Data, Refusal>>,
) -> Result<Vec<u8>, SecretError> {
    let of = match &secret.namespace {
        Some(namespace) => format!("Secret `{}` in namespace `{namespace}`", secret.name),
        None => format!("Secret `{}`", secret.name),
    };
    match answer {
        Some(Ok(Some(data))) => data.get(key).cloned().ok_or_else(|| {
            let known: Vec<String> = data.keys().map(|key| format!("`{key}`")).collect();
            let help =
                if known.is_empty() { "it has no keys".to_owned() } else { format!("it has {}", known.join(", ")) };
            SecretError::new(name, format!("{of} has no key `{key}`"), Some(&help))
        }),
        Some(Ok(None)) | None => Err(SecretError::new(name, format!("there is no {of}"), None)),
        Some(Err(refusal)) => Err(SecretError::new(name, format!("{of}: {}", refusal.reason), refusal.help.as_deref())),
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<SecretString, SecretError> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(SecretError::new(name, format!("its value is larger than {LARGEST} bytes"), None));
    }
    let help = Some("encode it, for instance with base64");
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err(SecretError::new(name, "its value holds a zero byte", help)),
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(SecretError::new(name, "its value is no UTF-8 text", help)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use model::layer::Position;
    use model::workflow::SecretOptions;

    use super::*;

    fn secret(name: &str, provider: SecretProvider, key: &str) -> Secret {
        let position = Position { source: 1, line: 1, column: 1, offset: 0, length: 0 };
        Secret { name: name.to_owned(), provider, key: key.to_owned(), options: SecretOptions::default(), position }
    }

    fn wanted(secrets: &[Secret], folder: &Path) -> Vec<Wanted> {
        let wanted = |secret| Wanted::of(secret, folder, |text| text.replace("${X}", "x"));
        secrets.iter().map(wanted).collect::<Result<_, _>>().unwrap()
    }

    fn variable(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("hunter2".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn data(entries: &[(&str, &[u8])]) -> Data {
        Some(entries.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect())
    }

    async fn no_cluster(_: ClusterSecret) -> Result<Data, Refusal> {
        panic!("no Secret is wanted")
    }

    fn words(errors: &[SecretError]) -> Vec<String> {
        errors.iter().map(SecretError::to_string).collect()
    }

    #[tokio::test]
    async fn values_come_from_variables_and_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("x", "a\n"), ("two", "a\n\n"), ("dos", "a\r\n"), ("none", "a"), ("empty", "\n")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let wanted = wanted(
            &[
                secret("A", SecretProvider::Env, "TOKEN"),
                secret("B", SecretProvider::Env, "EMPTY"),
                secret("C", SecretProvider::File, "${X}"),
                secret("D", SecretProvider::File, "two"),
                secret("E", SecretProvider::File, "dos"),
                secret("F", SecretProvider::File, folder.path().join("none").to_str().unwrap()),
                secret("G", SecretProvider::File, "empty"),
            ],
            folder.path(),
        );
        // A task of a runtime with several threads may do it.
        let fetching: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(Secrets::fetch(&wanted, variable, no_cluster));
        let secrets = fetching.await.unwrap();
        let expected = [("A", "hunter2"), ("B", ""), ("C", "a"), ("D", "a\n"), ("E", "a"), ("F", "a"), ("G", "")];
        assert_eq!(secrets.iter().collect::<Vec<_>>(), expected);
        assert_eq!((secrets.get("A"), secrets.get("Z")), (Some("hunter2"), None));
        assert_eq!(format!("{secrets:?}"), r#"["A", "B", "C", "D", "E", "F", "G"]"#);
        assert_eq!(secrets.mask().unwrap().text("hunter2"), "*******");
    }

    #[tokio::test]
    async fn a_secret_of_a_cluster_is_read_once_for_all_its_keys() {
        let mut first = secret("A", SecretProvider::Kubernetes, "db/pass");
        first.options = SecretOptions { namespace: Some("n-${X}".to_owned()), ..SecretOptions::default() };
        let second = Secret { name: "B".to_owned(), key: "db/user".to_owned(), ..first.clone() };
        let third = secret("C", SecretProvider::Kubernetes, "db/pass");
        let asked = Mutex::new(Vec::new());
        let cluster = |secret: ClusterSecret| {
            let answer = match secret.namespace.as_deref() {
                Some("n-x") => data(&[("pass", b"p"), ("user", b"u")]),
                _ => data(&[("pass", b"other")]),
            };
            asked.lock().unwrap().push((secret.namespace, secret.name, secret.source));
            async move { Ok(answer) }
        };
        let wanted = wanted(&[first, second, third], Path::new("/"));
        let secrets = Secrets::fetch(&wanted, variable, cluster).await.unwrap();
        assert_eq!(secrets.iter().collect::<Vec<_>>(), [("A", "p"), ("B", "u"), ("C", "other")]);
        let mut asked = asked.into_inner().unwrap();
        asked.sort();
        assert_eq!(asked, [(None, "db".to_owned(), 1), (Some("n-x".to_owned()), "db".to_owned(), 1)]);
    }

    #[tokio::test]
    async fn all_that_fails_is_told_at_once_and_without_values() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("binary"), b"hunter2\xff").unwrap();
        fs::write(folder.path().join("zero"), b"hunter2\0").unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
        let of = |name: &str, key: &str| secret(name, SecretProvider::Kubernetes, key);
        let wanted = wanted(
            &[
                secret("A", SecretProvider::Env, "NONE"),
                secret("OK", SecretProvider::Env, "TOKEN"),
                secret("B", SecretProvider::File, "gone"),
                secret("C", SecretProvider::File, "binary"),
                secret("D", SecretProvider::File, "zero"),
                secret("E", SecretProvider::File, "large"),
                secret("F", SecretProvider::File, "."),
                of("G", "db/none"),
                of("H", "gone/key"),
                of("I", "secret/key"),
            ],
            folder.path(),
        );
        let cluster = async |secret: ClusterSecret| match secret.name.as_str() {
            "db" => Ok(data(&[("pass", b"hunter2"), ("user", b"hunter2")])),
            "gone" => Ok(None),
            _ => {
                let failure = Failure { kind: FailureKind::Forbidden, words: "no right".to_owned() };
                Err(Refusal::of(&failure, "default"))
            }
        };
        let errors = Secrets::fetch(&wanted, variable, cluster).await.unwrap_err();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let expected = [
            "secret `A`: there is no variable `NONE`".to_owned(),
            format!("secret `B`: `{}`: there is no such file", path("gone")),
            "secret `C`: its value is no UTF-8 text".to_owned(),
            "secret `D`: its value holds a zero byte".to_owned(),
            format!("secret `E`: `{}`: it is larger than 1048576 bytes", path("large")),
            format!("secret `F`: `{}`: it is a folder", path(".")),
            "secret `G`: Secret `db` has no key `none`".to_owned(),
            "secret `H`: there is no Secret `gone`".to_owned(),
            "secret `I`: Secret `secret`: no right".to_owned(),
        ];
        assert_eq!(words(&errors), expected);
        assert_eq!(errors[6].help.as_deref(), Some("it has `pass`, `user`"));
        let help =
            "a Role in namespace `default` needs the rule {apiGroups: [\"\"], resources: [secrets], verbs: [get]}";
        assert_eq!(errors[8].help.as_deref(), Some(help));
        assert!(!format!("{errors:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_that_is_none_is_told() {
        for (provider, key, expected) in [
            (SecretProvider::Kubernetes, "db", "secret `A`: `db` is not `secret/datakey`"),
            (SecretProvider::Kubernetes, "/key", "secret `A`: `/key` is not `secret/datakey`"),
            (SecretProvider::Kubernetes, "db/", "secret `A`: `db/` is not `secret/datakey`"),
            (SecretProvider::Kubernetes, "a/b/c", "secret `A`: `a/b/c` is not `secret/datakey`"),
            (SecretProvider::File, "${NOTHING}", "secret `A`: its key is empty"),
        ] {
            let error = Wanted::of(&secret("A", provider, key), Path::new("/"), |text| text.replace("${NOTHING}", ""));
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
    }
}
