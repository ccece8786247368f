//! Secrets: names, providers, and what each provider looks up.

use std::collections::HashMap;

use model::layer::Position;
use model::path;
use model::problem::{CoreProblem, code};
use model::syntax::Syntax;
use model::template::has_variable;
use model::workflow::{PROVIDERS, SECRET, SECRET_OPTIONS, Secret, SecretOptions, SecretProvider};

use super::variables;
use crate::suggest;
use crate::yaml::{Content, Entry, Node, cut, push};

/// Reads `secrets`. Types, unknown keys and missing ones have their problems already.
pub(super) fn secrets(node: &Node, source: u32, problems: &mut Vec<CoreProblem>) -> Vec<Secret> {
    let Content::List(items) = &node.content else { return Vec::new() };
    let mut names: HashMap<&str, Position> = HashMap::new();
    let mut secrets = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = path::index("secrets", index);
        let mut reading = Reading { item, at: &at, source, problems };
        if let Some((name, place)) = reading.name(&names) {
            names.entry(name).or_insert(place);
            secrets.extend(reading.secret(name));
        } else {
            // The rest is judged all the same.
            reading.secret("");
        }
    }
    secrets
}

/// One secret while it is read.
struct Reading<'a, 'b> {
    item: &'a Node,
    at: &'b str,
    source: u32,
    problems: &'b mut Vec<CoreProblem>,
}

impl<'a> Reading<'a, '_> {
    fn say(&mut self, problem: CoreProblem, path: String, position: Position) {
        push(self.problems, problem.at(path, Some(position)));
    }

    fn text(&self, key: &str) -> Option<(&'a Entry, &'a str)> {
        let entry = self.item.entry(key)?;
        match &entry.value.content {
            Content::Text(text) if !text.trim().is_empty() => Some((entry, text)),
            _ => None,
        }
    }

    fn name(&mut self, names: &HashMap<&str, Position>) -> Option<(&'a str, Position)> {
        let (entry, name) = self.text("name")?;
        let at = path::key(self.at, "name");
        let place = entry.value.span.position(self.source);
        if let Some(problem) = variables::name_problem(name) {
            self.say(problem, at, place);
        } else if let Some(first) = names.get(name) {
            let problem = CoreProblem::error(code::DUPLICATE, format!("the secret `{}` is there twice", cut(name)))
                .help("choose another name")
                .related(Some(*first), "the other one is here");
            self.say(problem, at, place);
        }
        Some((name, place))
    }

    /// None: it lacks something, which is said.
    fn secret(&mut self, name: &str) -> Option<Secret> {
        let (entry, word) = self.text("provider")?;
        let provider = match word {
            "env" => SecretProvider::Env,
            "file" => SecretProvider::File,
            "kubernetes" => SecretProvider::Kubernetes,
            other => {
                let problem = CoreProblem::error(
                    code::UNSUPPORTED,
                    format!("the secret provider `{}` is not supported", cut(other)),
                );
                let words = PROVIDERS.iter().map(|word| word.text);
                let meant = words.clone().find(|word| word.eq_ignore_ascii_case(other.trim()));
                let problem = match meant.or_else(|| suggest::nearest(other.trim(), words)) {
                    Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
                    None => problem.help("providers are `env`, `file` and `kubernetes`"),
                };
                self.say(problem, path::key(self.at, "provider"), entry.value.span.position(self.source));
                return None;
            }
        };
        let (key, options) = match provider {
            SecretProvider::Kubernetes => (self.kubernetes_key(), self.options()),
            SecretProvider::Env | SecretProvider::File => {
                self.no_options(word);
                (self.plain_key(provider), SecretOptions::default())
            }
        };
        let position = self.item.span.position(self.source);
        Some(Secret { name: name.to_owned(), provider, key: key?, options, position })
    }

    /// The key of `env` and `file`.
    fn plain_key(&mut self, provider: SecretProvider) -> Option<String> {
        let Some(entry) = self.item.entry("key") else {
            let help = match provider {
                SecretProvider::File => "add the path: `key: /run/secrets/token`",
                _ => "add the name of the variable: `key: TOKEN`",
            };
            self.missing("`key` is missing", help);
            return None;
        };
        let (_, key) = self.text("key")?;
        if provider == SecretProvider::Env && !has_variable(key) && (key.contains('=') || key.contains('\0')) {
            let problem = CoreProblem::error(code::FORMAT, format!("`{}` is no name of a variable", cut(key)))
                .help("write a name, as `TOKEN`");
            self.say(problem, path::key(self.at, "key"), entry.value.span.position(self.source));
        }
        Some(key.to_owned())
    }

    fn missing(&mut self, message: &str, help: &str) {
        // A misspelt key is one mistake: it may be the one that is missing.
        let known = |entry: &Entry| SECRET.field(&entry.key).is_some();
        let options = self.item.entry("options").map(|entry| entry.value.entries()).unwrap_or_default();
        if self.item.entries().iter().all(known)
            && options.iter().all(|entry| SECRET_OPTIONS.field(&entry.key).is_some())
        {
            let problem = CoreProblem::error(code::REQUIRED, message).help(help);
            self.say(problem, path::key(self.at, "key"), self.item.span.position(self.source));
        }
    }

    fn no_options(&mut self, provider: &str) {
        let Some(options) = self.item.entry("options") else { return };
        let at = path::key(self.at, "options");
        for entry in options.value.entries() {
            // What is known nowhere was said.
            if SECRET_OPTIONS.field(&entry.key).is_some() {
                let problem = CoreProblem::error(
                    code::UNKNOWN_FIELD,
                    format!("the secret provider `{provider}` has no option `{}`", cut(&entry.key)),
                )
                .help("remove it, or write `provider: kubernetes`");
                self.say(problem, path::key(&at, &entry.key), entry.key_span.position(self.source));
            }
        }
    }

    fn option(&self, key: &str) -> Option<(&'a Entry, &'a str)> {
        let entry = self.item.entry("options")?.value.entry(key)?;
        match &entry.value.content {
            // A blank one has its problem, where it must not be blank.
            Content::Text(text) if !text.trim().is_empty() => Some((entry, text)),
            _ => None,
        }
    }

    fn options(&self) -> SecretOptions {
        let option = |key: &str| self.option(key).map(|(_, text)| text.to_owned());
        SecretOptions { namespace: option("namespace"), kubeconfig: option("kubeconfig"), context: option("context") }
    }

    /// `secret/datakey`, from `key` or from two options.
    fn kubernetes_key(&mut self) -> Option<String> {
        let options = self.item.entry("options").map(|entry| &entry.value);
        let has = |key: &str| options.and_then(|options| options.entry(key));
        let (secret_name, secret_key) = (has("secret_name"), has("secret_key"));
        let options_at = path::key(self.at, "options");
        if let (Some(key), Some(option)) = (self.item.entry("key"), secret_name.or(secret_key)) {
            let problem = CoreProblem::error(code::EXCLUSIVE, format!("`{}` cannot stand beside `key`", option.key))
                .help("write `key: secret/datakey`, or both `secret_name` and `secret_key`")
                .related(Some(key.key_span.position(self.source)), "`key` is here");
            self.say(problem, path::key(&options_at, &option.key), option.key_span.position(self.source));
            return None;
        }
        match (secret_name, secret_key) {
            (Some(_), Some(_)) => {
                let (name_entry, name) = self.option("secret_name")?;
                let (key_entry, key) = self.option("secret_key")?;
                let at = path::key(&options_at, "secret_name");
                self.part(name, Syntax::DnsSubdomain, at, name_entry.value.span.position(self.source));
                let at = path::key(&options_at, "secret_key");
                self.part(key, Syntax::ConfigKey, at, key_entry.value.span.position(self.source));
                Some(format!("{name}/{key}"))
            }
            (Some(one), None) | (None, Some(one)) => {
                let other = if one.key == "secret_name" { "secret_key" } else { "secret_name" };
                let known = |entry: &Entry| SECRET_OPTIONS.field(&entry.key).is_some();
                if options.is_some_and(|options| options.entries().iter().all(known)) {
                    let problem =
                        CoreProblem::error(code::REQUIRED, format!("`{}` needs `{other}` beside it", one.key))
                            .help(format!("add `{other}: …`"));
                    self.say(problem, path::key(&options_at, other), one.key_span.position(self.source));
                }
                None
            }
            (None, None) => {
                if self.item.entry("key").is_none() {
                    self.missing("`key` is missing", "add the Secret and its key: `key: app-secrets/token`");
                    return None;
                }
                let (entry, key) = self.text("key")?;
                let position = entry.value.span.position(self.source);
                let at = path::key(self.at, "key");
                match key.split_once('/') {
                    Some((name, data)) => {
                        self.part(name, Syntax::DnsSubdomain, at.clone(), position);
                        self.part(data, Syntax::ConfigKey, at, position);
                    }
                    None if has_variable(key) => {}
                    None => {
                        let problem = CoreProblem::error(
                            code::FORMAT,
                            format!("`{}` names no key of a Secret: `secret/datakey`", cut(key)),
                        )
                        .help(format!("write the name of the Secret before it: `app-secrets/{}`", cut(key)));
                        self.say(problem, at, position);
                    }
                }
                Some(key.to_owned())
            }
        }
    }

    fn part(&mut self, text: &str, syntax: Syntax, at: String, position: Position) {
        if has_variable(text) {
            return;
        }
        if let Err(violation) = syntax.check(text) {
            let mut problem = CoreProblem::error(code::FORMAT, violation.message);
            problem.help = violation.help;
            self.say(problem, at, position);
        }
    }
}
