//! Laws of merging and checking, on configs made at random from the tables that describe them.

use std::collections::BTreeMap;

use model::config::EffectiveConfig;
use model::field::{Kind, Mapping};
use model::layer::{Layer, MergeStep, Merged, Origin};
use model::path::value_at;
use model::problem::{Severity, code};
use model::review::Phase;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A value of a kind, well typed; rules about its text are not obeyed.
fn value(kind: &'static Kind, depth: u32) -> BoxedStrategy<Value> {
    match kind {
        Kind::Text(text) if !text.words.is_empty() => {
            proptest::sample::select(text.words).prop_map(|word| json!(word.text)).boxed()
        }
        Kind::Text(_) => prop_oneof![Just(json!("a")), Just(json!("b")), Just(json!("1"))].boxed(),
        Kind::Integer(bounds) => {
            let (min, max) = (bounds.min.max(0), bounds.max.min(100));
            (min..=max).prop_map(|number| json!(number)).boxed()
        }
        Kind::Number(_) => (2..100_i64).prop_map(|number| json!(number)).boxed(),
        Kind::Boolean => any::<bool>().prop_map(|value| json!(value)).boxed(),
        Kind::List(list) => proptest::collection::vec(value(list.item, depth + 1), 0..3).prop_map(Value::Array).boxed(),
        Kind::Map(map) => {
            let keys = prop_oneof![Just("x".to_owned()), Just("y".to_owned())];
            proptest::collection::btree_map(keys, value(map.value, depth + 1), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect()))
                .boxed()
        }
        Kind::Mapping(mapping) => object(mapping, depth + 1),
        Kind::OneOf(_) | Kind::Any => Just(json!("a")).boxed(),
    }
}

fn object(mapping: &'static Mapping, depth: u32) -> BoxedStrategy<Value> {
    // Deep levels are nearly full, so that leaves come up; the top has a few of its many keys.
    let chance = if depth == 0 { 0.25 } else { 0.7 };
    let fields: Vec<BoxedStrategy<Option<(String, Value)>>> = mapping
        .fields
        .iter()
        .map(|field| {
            proptest::option::weighted(chance, value(&field.kind, depth))
                .prop_map(|value| value.map(|value| (field.key.to_owned(), value)))
                .boxed()
        })
        .collect();
    fields.prop_map(|entries| Value::Object(entries.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

fn config() -> BoxedStrategy<Value> {
    object(&EffectiveConfig::MAPPING, 0)
}

fn layer(origin: Origin, value: Value) -> Layer {
    Layer { origin, value, positions: BTreeMap::new(), left_out: Vec::new(), variables: Vec::new() }
}

fn merge(layers: &[Layer]) -> Merged {
    let ranks = (0..layers.len() as u32).collect();
    rules::merge(layers, &[MergeStep { step: "s".to_owned(), ranks }]).unwrap().remove(0)
}

/// The table of merging on plain JSON: what a higher value makes of a lower one.
fn over(lower: Option<&Value>, higher: &Value) -> Value {
    match (lower, higher) {
        (Some(Value::Object(lower)), Value::Object(higher)) if !higher.is_empty() => {
            let mut merged = lower.clone();
            for (key, value) in higher {
                merged.insert(key.clone(), over(lower.get(key), value));
            }
            Value::Object(merged)
        }
        _ => higher.clone(),
    }
}

/// `value` without empty mappings: those clear, and then the grouping matters.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let kept = entries.into_iter().map(|(key, value)| (key, without_empty(value)));
            Value::Object(kept.filter(|(_, value)| !value.as_object().is_some_and(Map::is_empty)).collect())
        }
        other => other,
    }
}

/// Reads layers as files give them: base.yaml, `kubernetes:` and `config:`. JSON is YAML.
fn loaded(base: &Value, dag: &Value, step: &Value) -> rules::Loaded {
    let base = json!({"kubernetes": base}).to_string();
    let file = json!({"kubernetes": dag, "steps": [{"id": "s", "type": "k8s", "config": step}]}).to_string();
    let sources = [
        rules::Source { name: "base.yaml", text: &base, role: rules::Role::Base },
        rules::Source { name: "f.yaml", text: &file, role: rules::Role::Workflow },
    ];
    rules::load(&sources, &[])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_layer_that_says_nothing_changes_nothing(base in config(), step in config()) {
        let two = merge(&[layer(Origin::Base, base.clone()), layer(Origin::Step, step.clone())]);
        let three = merge(&[
            layer(Origin::Base, base),
            layer(Origin::Step, step),
            layer(Origin::Policy("p".to_owned()), json!({})),
        ]);
        prop_assert_eq!(two.config, three.config);
    }

    #[test]
    fn a_layer_over_itself_changes_nothing(base in config()) {
        let once = merge(&[layer(Origin::Base, base.clone())]);
        let twice = merge(&[layer(Origin::Base, base.clone()), layer(Origin::Dag, base)]);
        prop_assert_eq!(once.config, twice.config);
    }

    #[test]
    fn every_leaf_is_a_leaf_of_the_layer_it_names(base in config(), dag in config(), step in config()) {
        let layers =
            [layer(Origin::Base, base), layer(Origin::Dag, dag), layer(Origin::Step, step)];
        let merged = merge(&layers);
        for (path, origin) in &merged.origins {
            if path.is_empty() || origin.layer == Origin::Default {
                continue;
            }
            let held = layers.iter().find(|layer| layer.origin == origin.layer).unwrap();
            let value = value_at(&held.value, path);
            prop_assert!(value.is_some(), "{} does not hold {}", origin.layer, path);
            // Exit codes are sorted, so that an item may stand elsewhere in its list.
            let scalar = value.is_some_and(|value| !value.is_object() && !value.is_array());
            if let Some(found) = value_at(&merged.config, path).filter(|_| scalar && !path.contains("values[")) {
                prop_assert_eq!(Some(found), value, "{}", path);
            }
        }
    }

    #[test]
    fn merging_is_the_table_for_every_key(base in config(), dag in config(), step in config()) {
        let folded = [&base, &dag, &step].into_iter().fold(json!({}), |lower, higher| over(Some(&lower), higher));
        let merged = merge(&[
            layer(Origin::Base, base),
            layer(Origin::Dag, dag),
            layer(Origin::Step, step.clone()),
        ]);
        // `{}` of a step says nothing, and `over` would clear everything.
        prop_assume!(step != json!({}));
        prop_assert_eq!(merged.config, merge(&[layer(Origin::Base, folded)]).config);
    }

    #[test]
    fn without_clearing_the_grouping_does_not_matter(base in config(), dag in config(), step in config()) {
        let [base, dag, step] = [base, dag, step].map(without_empty);
        prop_assume!([&dag, &step].into_iter().all(|value| *value != json!({})));
        let upper = over(Some(&dag), &step);
        let one_by_one = merge(&[layer(Origin::Base, base.clone()), layer(Origin::Dag, dag), layer(Origin::Step, step)]);
        prop_assert_eq!(one_by_one.config, merge(&[layer(Origin::Base, base), layer(Origin::Step, upper)]).config);
    }

    #[test]
    fn an_empty_collection_clears_at_every_layer(base in config(), dag in config(), rank in 0..5_usize) {
        let policy = Origin::Policy("p".to_owned());
        let higher = [Origin::Dag, Origin::Step, Origin::CommandLine, policy, Origin::Base][rank].clone();
        for (key, value) in base.as_object().unwrap() {
            let empty = match value {
                Value::Object(_) => json!({}),
                Value::Array(_) => json!([]),
                _ => continue,
            };
            let mut without = over(Some(&base), &dag);
            without.as_object_mut().unwrap().remove(key);
            let layers = [
                layer(Origin::Base, base.clone()),
                layer(Origin::Dag, dag.clone()),
                layer(higher.clone(), json!({ key.clone(): empty })),
            ];
            // `{}` of the whole block is another rule.
            prop_assume!(dag != json!({}));
            prop_assert_eq!(merge(&layers).config, merge(&[layer(Origin::Base, without)]).config, "{}", key);
        }
    }

    #[test]
    fn history_is_what_lower_layers_held_lowest_first(base in config(), dag in config(), step in config()) {
        let layers = [layer(Origin::Base, base), layer(Origin::Dag, dag), layer(Origin::Step, step)];
        let rank = |origin: &Origin| layers.iter().position(|layer| layer.origin == *origin);
        for (path, origin) in merge(&layers).origins {
            let ranks: Vec<_> = origin.history.iter().map(|past| rank(&past.layer)).collect();
            prop_assert!(ranks.is_sorted(), "{}: {:?}", path, origin.history);
            if origin.layer != Origin::Default {
                let below = origin.history.iter().all(|past| rank(&past.layer) < rank(&origin.layer) || path.is_empty());
                prop_assert!(below, "{}: {:?}", path, origin);
            }
        }
    }

    #[test]
    fn right_layers_are_refused_merged_by_rules_about_values_only(
        base in config(),
        dag in config(),
        step in config(),
    ) {
        const IN_LAYERS: [&str; 3] = [code::SYNTAX, code::TYPE, code::UNKNOWN_FIELD];
        let loaded = loaded(&base, &dag, &step);
        for problem in &loaded.problems {
            prop_assert!(!IN_LAYERS.contains(&problem.code.as_str()), "{:?}", problem);
        }
        let ranks: Vec<u32> = (0..loaded.layers.len() as u32).collect();
        let merged = rules::merge(&loaded.layers, &[MergeStep { step: "s".to_owned(), ranks }]).unwrap();
        let refused = !loaded.problems.is_empty();
        prop_assert!(refused || merged[0].left_out.is_empty(), "{:?}", merged[0].left_out);
        prop_assert_eq!(&merged[0].problems, &[]);
        for problem in rules::check(Phase::Load, &merged).unwrap() {
            prop_assert!(!IN_LAYERS.contains(&problem.code.as_str()), "{:?}", problem);
            prop_assert!(problem.position.is_some(), "no place: {:?}", problem);
        }
    }

    #[test]
    fn the_normal_form_is_normal(base in config(), step in config()) {
        let once = merge(&[layer(Origin::Base, base), layer(Origin::Step, step)]).config;
        let again = merge(&[layer(Origin::Step, once.clone())]).config;
        prop_assert_eq!(once, again);
    }

    #[test]
    fn checking_twice_says_the_same(base in config(), step in config()) {
        let merged = [merge(&[layer(Origin::Base, base), layer(Origin::Step, step)])];
        prop_assert_eq!(rules::check(Phase::Load, &merged), rules::check(Phase::Load, &merged));
        prop_assert_eq!(rules::check(Phase::Submit, &merged), rules::check(Phase::Load, &merged));
    }

    #[test]
    fn load_never_panics(text in r"(?s)(steps|kubernetes|config|with|- |: |\[|\]|\{|\}|,|\n|  |\t|&a|\*a|<<|!!str|'|#|\||>|k8s|\$\{X\}|1|true|~|é|.){0,60}") {
        let source = rules::Source { name: "f.yaml", text: &text, role: rules::Role::Workflow };
        let loaded = rules::load(&[source], &[]);
        prop_assert!(loaded.workflow.is_some() || !loaded.problems.is_empty());
        for problem in &loaded.problems {
            if let Some(position) = problem.position {
                let (from, to) = (position.offset as usize, (position.offset + position.length) as usize);
                prop_assert!(text.get(from..to).is_some(), "{:?} is outside", problem);
            }
        }
    }
}

#[test]
fn clearing_makes_merging_not_associative() {
    let p = || layer(Origin::Base, json!({"labels": {"p": "1"}}));
    let q = || json!({"labels": {"q": "2"}});
    let folded = merge(&[p(), layer(Origin::Dag, json!({"labels": {}})), layer(Origin::Step, q())]);
    assert_eq!(folded.config["labels"], json!({"q": "2"}));
    // The last two first: `{}` and `{q: 2}` give `{q: 2}`, and that would bring `p` back.
    let grouped = merge(&[p(), layer(Origin::Dag, q())]);
    assert_eq!(grouped.config["labels"], json!({"p": "1", "q": "2"}));
}

#[test]
fn clearing_keeps_what_was_cleared_as_history() {
    let merged = merge(&[
        layer(Origin::Base, json!({"labels": {"p": "1"}, "image": "a"})),
        layer(Origin::Dag, json!({"labels": {}, "image": "b"})),
        layer(Origin::Step, json!({"image": "c"})),
    ]);
    assert_eq!(merged.config.get("labels"), None);
    let labels = &merged.origins["labels"];
    assert_eq!((&labels.layer, &labels.history[0].value), (&Origin::Dag, &json!({"p": "1"})));
    let image: Vec<&Value> = merged.origins["image"].history.iter().map(|past| &past.value).collect();
    assert_eq!(image, [&json!("a"), &json!("b")]);
}

#[test]
fn an_empty_block_of_the_file_clears_everything_below_and_of_a_step_nothing() {
    let base = || layer(Origin::Base, json!({"image": "a"}));
    assert_eq!(merge(&[base(), layer(Origin::Dag, json!({}))]).config.get("image"), None);
    assert_eq!(merge(&[base(), layer(Origin::Step, json!({}))]).config["image"], "a");
    assert_eq!(merge(&[base(), layer(Origin::Policy("p".to_owned()), json!({}))]).config["image"], "a");
    // What was cleared and which layer did it stands at the whole block.
    for above in [json!({}), json!({"image": "b"})] {
        let merged = merge(&[base(), layer(Origin::Dag, json!({})), layer(Origin::Step, above)]);
        let told: Vec<_> = merged.origins[""].history.iter().map(|past| (&past.layer, &past.value)).collect();
        assert_eq!(told, [(&Origin::Base, &json!({"image": "a"})), (&Origin::Dag, &json!({}))]);
    }
}

#[test]
fn a_policy_that_overrides_a_value_of_the_file_is_named() {
    let policy = Origin::Policy("p".to_owned());
    let base = || layer(Origin::Base, json!({"image": "a", "namespace": "n"}));
    let merged = merge(&[base(), layer(policy, json!({"image": "b", "namespace": "n", "context": "c"}))]);
    let told: Vec<_> = merged.problems.iter().map(|one| (one.code.as_str(), one.severity, one.path.as_str())).collect();
    assert_eq!(told, [(code::OVERRIDDEN, Severity::Info, "image")]);
    assert_eq!(merged.problems[0].message, "policy `p` sets \"b\" here, the file says \"a\"");
}
