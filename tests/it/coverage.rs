//! What the corpus covers: every code of the core policy, and the mistakes that are made most.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use model::problem::code;
use serde_json::Value;
use tests::{folders, root};

/// The mistakes that are made most, and the case that shows what the user sees of each.
const USUAL: [(&str, &str); 48] = [
    ("a key is misspelt", "mistake-misspelt-key"),
    ("a line has the wrong indentation", "mistake-wrong-indent"),
    ("a number where text is wanted", "mistake-unquoted-number"),
    ("quotes where a number is wanted", "mistake-quoted-number"),
    ("no layer gives an image", "mistake-missing-image"),
    ("a tab indents a line", "mistake-tab"),
    ("a value has the wrong type", "mistake-step-types"),
    ("a volume has two sources", "mistake-two-sources"),
    ("dependencies form a circle", "mistake-cycle"),
    ("a step depends on itself", "mistake-depends-on-itself"),
    ("the file has no steps", "mistake-no-steps"),
    ("a step depends on one that does not exist", "mistake-unknown-depends"),
    ("an id is there twice", "mistake-duplicate-ids"),
    ("a key is there twice", "mistake-duplicate-key"),
    ("a list instead of text", "mistake-list-for-text"),
    ("text instead of a list", "mistake-text-for-list"),
    ("keys in the spelling of Kubernetes", "mistake-camel-case"),
    ("volumes as Kubernetes writes them", "mistake-volume-as-in-kubernetes"),
    ("parts of a whole Job as config", "mistake-whole-job-as-config"),
    ("`image` stands at the step", "mistake-image-at-the-step"),
    ("`type: k8s` is forgotten", "mistake-type-forgotten"),
    ("`type` in capital letters", "mistake-type-case"),
    ("a command with pipes that no shell reads", "mistake-shell-text"),
    ("`env` as a mapping", "mistake-env-as-mapping"),
    ("a quantity with a space", "mistake-quantity-with-a-space"),
    ("a quantity in gigabytes", "mistake-quantity-in-gb"),
    ("a label with spaces", "mistake-label-value"),
    ("names of the wrong form", "mistake-names"),
    ("capital letters in names", "mistake-capital-letters-in-names"),
    ("`privileged` is misspelt", "mistake-privileged-misspelt"),
    ("a cleanup policy that does not exist", "mistake-cleanup-policy-never"),
    ("a word is nearly right", "mistake-word-nearly"),
    ("resources without `requests` and `limits`", "mistake-resources-without-requests"),
    ("a memory limit below the request", "mistake-memory-limit-below-request"),
    ("a mount without its volume", "mistake-mount-without-volume"),
    ("a mount path that is relative", "mistake-mount-path-is-relative"),
    ("exit code 0 as a failure", "mistake-exit-code-zero-in-in"),
    ("negative numbers", "mistake-negative-integers"),
    ("a boolean in quotes", "mistake-quoted-boolean"),
    ("a boolean where text is wanted", "mistake-boolean-as-text"),
    ("nothing behind a key", "mistake-null-value"),
    ("a quote that is never closed", "mistake-quote-never-closed"),
    ("a quote of the command that is never closed", "mistake-open-quote"),
    ("a colon is missing", "mistake-missing-colon"),
    ("the space after a colon is missing", "mistake-missing-space-after-colon"),
    ("an alias without its anchor", "mistake-unknown-alias"),
    ("braces of a template without quotes", "mistake-braces-without-quotes"),
    ("a secret reference without its key", "mistake-secret-ref-without-key"),
];

/// The codes that no file alone can bring up.
const NOT_FROM_FILES: [&str; 5] =
    [code::OVERRIDDEN, code::POLICY_FAILED, code::WAIVED, code::WAIVER_EXPIRED, code::WAIVER_UNUSED];

#[test]
fn every_code_has_a_case_that_breaks_its_rule() -> Result<()> {
    let mut seen = BTreeSet::new();
    for folder in folders(&root().join("tests/corpus"))? {
        let problems: Vec<Value> = serde_json::from_str(&fs::read_to_string(folder.join("expected.json"))?)?;
        seen.extend(problems.iter().filter_map(|problem| Some(problem.get("code")?.as_str()?.to_owned())));
    }
    let codes = code::ALL.iter().map(|listed| listed.code);
    let missing: Vec<&str> = codes.filter(|code| !seen.contains(*code) && !NOT_FROM_FILES.contains(code)).collect();
    ensure!(missing.is_empty(), "no case of the corpus brings up {missing:?}");
    Ok(())
}

#[test]
fn the_usual_mistakes_show_what_the_user_sees() -> Result<()> {
    for (mistake, case) in USUAL {
        let shown = fs::read_to_string(root().join("tests/corpus").join(case).join("problems.txt"));
        let shown = shown.unwrap_or_default();
        ensure!(shown.contains(" --> dag.yaml:"), "{mistake}: `{case}` shows nothing");
        ensure!(
            shown.contains("= help: ") || shown.contains("expected one of"),
            "{mistake}: `{case}` does not say what to do"
        );
    }
    Ok(())
}
