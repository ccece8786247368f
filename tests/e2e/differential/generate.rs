//! Configs made at random from the tables that describe them: right ones, and right ones with a slip or two.
//!
//! The same seed gives the same configs, on every machine.

use model::config::EffectiveConfig;
use model::field::{Field, Kind, Mapping};
use model::syntax::Syntax;
use serde_json::{Map, Value, json};

use super::pools::{self, Pool};

/// Numbers from a seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn of(seed: u64) -> Chance {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Fields that choose the cluster: the server never sees them, or sees them as the address of the request.
const NOT_IN_THE_JOB: [&str; 3] = ["kubeconfig", "context", "namespace"];

/// The config with this number.
pub(super) fn config(seed: u64, number: usize) -> Value {
    let mut chance = Chance::of(seed ^ (number as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
    chance.next();
    let mut config = top(&mut chance);
    // About a third are right. Few slips: a second one hides what came of the first.
    let slips = *chance.one(&[0, 0, 1, 1, 1, 2]);
    for _ in 0..slips {
        slip(&mut chance, &mut config);
    }
    config
}

fn top(chance: &mut Chance) -> Value {
    let mut config = Map::from_iter([("image".to_owned(), json!("runner.test/shell:1"))]);
    // A few of the many keys, so that each gets its turn with not much around it.
    for field in EffectiveConfig::MAPPING.fields {
        if !NOT_IN_THE_JOB.contains(&field.key) && field.key != "image" && chance.percent(18) {
            config.insert(field.key.to_owned(), value(chance, &field.kind));
        }
    }
    let mut config = Value::Object(config);
    mounts_fit_volumes(chance, &mut config);
    config
}

/// A mount names a volume, and no two of either are the same.
fn mounts_fit_volumes(chance: &mut Chance, config: &mut Value) {
    let mut names = Vec::new();
    if let Some(volumes) = config.get_mut("volumes").and_then(Value::as_array_mut) {
        for (number, volume) in volumes.iter_mut().enumerate() {
            volume["name"] = json!(format!("v{number}"));
            names.push(volume["name"].clone());
        }
    }
    if let Some(mounts) = config.get_mut("volume_mounts").and_then(Value::as_array_mut) {
        for (number, mount) in mounts.iter_mut().enumerate() {
            if names.is_empty() {
                names.push(json!("v0"));
            }
            mount["name"] = chance.one(&names).clone();
            mount["mount_path"] = json!(format!("/m{number}"));
        }
        if config.get("volumes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            config["volumes"] = json!([{"name": "v0", "empty_dir": {}}]);
        }
    }
}

fn value(chance: &mut Chance, kind: &Kind) -> Value {
    match kind {
        Kind::Text(text) if !text.words.is_empty() => json!(chance.one(text.words).text),
        Kind::Text(text) => json!(*chance.one(pools::good(text.syntax.or(text.expected)))),
        Kind::Integer(bounds) => {
            let (min, max) = (bounds.min.max(0), bounds.max.min(600));
            json!(min + chance.below((max - min + 1) as usize) as i64)
        }
        Kind::Number(_) => json!(1),
        Kind::Boolean => json!(chance.percent(50)),
        Kind::List(list) => {
            let length = list.min.max(1) + chance.below(2);
            Value::Array((0..length).map(|_| value(chance, list.item)).collect())
        }
        Kind::Map(map) => {
            let count = 1 + chance.below(2);
            let keys = pools::good(map.keys);
            Value::Object((0..count).map(|_| ((*chance.one(keys)).to_owned(), value(chance, map.value))).collect())
        }
        Kind::Mapping(mapping) => object(chance, mapping),
        Kind::OneOf(_) | Kind::Any => json!("a"),
    }
}

/// A right mapping. Where keys depend on each other the mapping is known by name.
fn object(chance: &mut Chance, mapping: &'static Mapping) -> Value {
    match mapping.name {
        "Toleration" => chance.one(&pools::tolerations()).clone(),
        "NodeSelectorRequirement" => chance.one(&pools::requirements(true)).clone(),
        "LabelSelectorRequirement" => chance.one(&pools::requirements(false)).clone(),
        "OnExitCodes" => chance.one(&pools::exit_codes()).clone(),
        "SeccompProfile" => chance.one(&pools::seccomp_profiles()).clone(),
        "Sysctl" => chance.one(&pools::sysctls()).clone(),
        "Resources" => chance.one(&pools::resources()).clone(),
        "Capabilities" => chance.one(&pools::capabilities()).clone(),
        "EnvVar" => {
            let mut variable = filled(chance, mapping, |_| true);
            let dropped = if chance.percent(50) { "value" } else { "value_from" };
            variable.remove(dropped);
            Value::Object(variable)
        }
        "PodSecurityContext" => {
            let mut context = filled(chance, mapping, |_| true);
            if let Some(sysctls) = context.get_mut("sysctls").and_then(Value::as_array_mut) {
                sysctls.truncate(1);
            }
            Value::Object(context)
        }
        "SecurityContext" => {
            let mut context = filled(chance, mapping, |_| true);
            if context.get("privileged") == Some(&json!(true)) {
                context.remove("allow_privilege_escalation");
            }
            Value::Object(context)
        }
        _ => Value::Object(filled(chance, mapping, |_| true)),
    }
}

fn filled(chance: &mut Chance, mapping: &'static Mapping, keep: impl Fn(&Field) -> bool) -> Map<String, Value> {
    let one = (!mapping.exactly_one_of.is_empty()).then(|| *chance.one(mapping.exactly_one_of));
    let mut object = Map::new();
    for field in mapping.fields.iter().filter(|field| keep(field)) {
        let is_chosen = match one {
            Some(one) if mapping.exactly_one_of.contains(&field.key) => field.key == one,
            _ => field.required || chance.percent(55),
        };
        if is_chosen {
            object.insert(field.key.to_owned(), value(chance, &field.kind));
        }
    }
    object
}

/// A place in a config, with what the tables say about it.
struct Place {
    pointer: String,
    kind: Kind,
}

/// Every value of a config whose kind is known, itself first.
fn places(value: &Value, kind: Kind, pointer: &str, found: &mut Vec<Place>) {
    found.push(Place { pointer: pointer.to_owned(), kind });
    match (kind, value) {
        (Kind::Mapping(mapping), Value::Object(entries)) => {
            for (key, value) in entries {
                if let Some(field) = mapping.field(key) {
                    places(value, field.kind, &format!("{pointer}/{}", escaped(key)), found);
                }
            }
        }
        (Kind::Map(map), Value::Object(entries)) => {
            for (key, value) in entries {
                places(value, *map.value, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        (Kind::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                places(item, *list.item, &format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// One thing that a hurried person gets wrong.
fn slip(chance: &mut Chance, config: &mut Value) {
    let mut all = Vec::new();
    places(config, EffectiveConfig::KIND, "", &mut all);
    let place = chance.one(&all);
    // The block as a whole is no place for a slip but a key more.
    let value = config.pointer_mut(&place.pointer).expect("it was found there");
    match &place.kind {
        Kind::Mapping(mapping) => slip_in_mapping(chance, mapping, value, place.pointer.is_empty()),
        Kind::Map(map) => {
            let entries = value.as_object_mut().expect("a map");
            let (_, inner) = entries.iter().next().map(|(key, value)| (key.clone(), value.clone())).unwrap_or_default();
            let key = odd(chance, map.keys);
            entries.insert(key, inner);
        }
        Kind::List(_) => slip_in_list(chance, value),
        Kind::Text(text) => {
            *value = match chance.below(10) {
                0 => other_type(chance),
                1 => json!(format!(" {} ", value.as_str().unwrap_or_default())),
                2 => json!(value.as_str().unwrap_or_default().to_uppercase()),
                _ => json!(odd(chance, text.syntax.or(text.expected))),
            }
        }
        Kind::Integer(_) | Kind::Number(_) => {
            *value = match chance.below(8) {
                0 => other_type(chance),
                1 => json!(1.5),
                2 => json!(value.as_i64().unwrap_or_default() as f64),
                _ => json!(*chance.one(&[-1, 0, 101, 256, 2_147_483_647, 2_147_483_648, i64::MAX])),
            }
        }
        Kind::Boolean => *value = other_type(chance),
        Kind::OneOf(_) | Kind::Any => {}
    }
}

fn slip_in_mapping(chance: &mut Chance, mapping: &'static Mapping, value: &mut Value, is_top: bool) {
    let Some(entries) = value.as_object_mut() else { return };
    match chance.below(if is_top { 3 } else { 6 }) {
        0 => {
            entries.insert((*chance.one(&["unknown", "hostNetwork", "optional"])).to_owned(), json!("x"));
        }
        // A key more, which need not go with the others.
        1 | 2 => {
            let field = chance.one(mapping.fields);
            if !NOT_IN_THE_JOB.contains(&field.key) {
                let more = self::value(chance, &field.kind);
                entries.insert(field.key.to_owned(), more);
            }
        }
        3 => *value = json!({}),
        4 => *value = other_type(chance),
        _ => {
            let keys: Vec<String> = entries.keys().cloned().collect();
            if !keys.is_empty() {
                entries.remove(chance.one(&keys));
            }
        }
    }
}

fn slip_in_list(chance: &mut Chance, value: &mut Value) {
    let Some(items) = value.as_array_mut() else { return };
    match chance.below(4) {
        0 => items.clear(),
        1 => *value = other_type(chance),
        _ => {
            if let Some(first) = items.first().cloned() {
                items.push(first);
            }
        }
    }
}

fn other_type(chance: &mut Chance) -> Value {
    chance.one(&[json!(null), json!(7), json!("7"), json!(true), json!("true"), json!([]), json!({})]).clone()
}

fn odd(chance: &mut Chance, syntax: Option<Syntax>) -> String {
    let pool: Pool = if chance.percent(60) { pools::odd(syntax) } else { pools::ANYTHING };
    match *chance.one(pool) {
        "63" => "x".repeat(63),
        "64" => "x".repeat(64),
        "253" => vec!["x".repeat(50); 5].join(".")[..253].to_owned(),
        "254" => "x".repeat(254),
        text => text.to_owned(),
    }
}
