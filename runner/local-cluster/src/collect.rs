//! The garbage collector: dependents of what was deleted, owners that wait for them, and namespaces that empty.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{Key, Metadata, metadata_mut, remove_finalizer, set};
use crate::resource::Resource;
use crate::shared::Shared;
use crate::store::{Deletion, FOREGROUND, ORPHAN, Propagation, Store};

/// Collects until the cluster ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut versions = shared.versions();
    let mut seen = None;
    loop {
        versions.borrow_and_update();
        let next = shared.store().release_held(shared.now());
        seen = Some(look(&shared, seen));
        let timer = async {
            match next {
                Some(then) => shared.clock.sleep_until(then).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = timer => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Follows up what happened after a version; returns the version reached.
fn look(shared: &Shared, seen: Option<u64>) -> u64 {
    let now = shared.now();
    let mut store = shared.store();
    let version = store.version();
    let mut changed: BTreeSet<Key> = BTreeSet::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let mut owners: BTreeSet<String> = BTreeSet::new();
    let mut namespaces: BTreeSet<String> = BTreeSet::new();
    match seen.and_then(|seen| store.changes_after(seen).ok()) {
        Some(changes) => {
            for change in changes {
                if change.is_removal {
                    gone.insert(change.after.uid().to_owned());
                    owners.extend(change.after.owners().iter().map(|owner| owner.uid.to_owned()));
                    namespaces.insert(change.key.namespace.clone());
                } else {
                    changed.insert(change.key.clone());
                }
            }
        }
        None => {
            for resource in Resource::ALL {
                changed.extend(store.list(resource, None).map(|(key, _)| key.clone()));
            }
        }
    }
    for uid in gone {
        for (key, _) in store.dependents(&uid) {
            collect_if_ownerless(&mut store, &key, now);
        }
    }
    for key in changed {
        follow_up(&mut store, &key, now);
    }
    for uid in owners {
        if let Some(key) = store.by_uid(&uid).map(|(key, _)| key.clone()) {
            follow_up(&mut store, &key, now);
        }
    }
    for namespace in namespaces {
        follow_up(&mut store, &Key::new(Resource::Namespaces, "", &namespace), now);
    }
    version
}

fn follow_up(store: &mut Store, key: &Key, now: Timestamp) {
    let Some(object) = store.get(key).cloned() else { return };
    if key.resource == Resource::Namespaces {
        if object.is_being_deleted() {
            empty_namespace(store, key, now);
        }
        return;
    }
    if object.is_being_deleted() && object.has_finalizer(ORPHAN) {
        for (dependent, _) in store.dependents(object.uid()) {
            store.modify(&dependent, |dependent| forget_owner(dependent, object.uid()));
        }
        store.modify(key, |object| remove_finalizer(object, ORPHAN));
        return;
    }
    if object.is_being_deleted() && object.has_finalizer(FOREGROUND) {
        let dependents = store.dependents(object.uid());
        for (dependent, found) in &dependents {
            if !found.is_being_deleted() {
                delete(store, dependent, Propagation::Foreground, now);
            }
        }
        let is_blocked = store.dependents(object.uid()).iter().any(|(_, dependent)| {
            dependent.owners().iter().any(|owner| owner.uid == object.uid() && owner.blocks_deletion)
        });
        if !is_blocked {
            store.modify(key, |object| remove_finalizer(object, FOREGROUND));
        }
        return;
    }
    collect_if_ownerless(store, key, now);
}

/// Deletes an object all of whose owners are gone; forgets those of several that are.
fn collect_if_ownerless(store: &mut Store, key: &Key, now: Timestamp) {
    let Some(object) = store.get(key).cloned() else { return };
    let owners = object.owners();
    let absent: Vec<&str> = owners.iter().map(|owner| owner.uid).filter(|uid| store.by_uid(uid).is_none()).collect();
    if absent.is_empty() || object.is_being_deleted() {
        return;
    }
    if absent.len() == owners.len() {
        delete(store, key, Propagation::Background, now);
    } else {
        for uid in absent {
            store.modify(key, |object| forget_owner(object, uid));
        }
    }
}

fn delete(store: &mut Store, key: &Key, propagation: Propagation, now: Timestamp) {
    let how = Deletion { propagation: Some(propagation), ..Deletion::default() };
    // It may have gone meanwhile, which is what was wanted.
    drop(store.delete(key, &how, now));
}

fn forget_owner(object: &mut Value, uid: &str) {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
    let rest: Vec<Value> =
        owners.into_iter().filter(|owner| owner.get("uid").and_then(Value::as_str) != Some(uid)).collect();
    let rest = if rest.is_empty() { Value::Null } else { Value::from(rest) };
    set(metadata_mut(object), "ownerReferences", rest);
}

fn empty_namespace(store: &mut Store, key: &Key, now: Timestamp) {
    for content in store.contents(&key.name) {
        if store.get(&content).is_some_and(|object| !object.is_being_deleted()) {
            delete(store, &content, Propagation::Background, now);
        }
    }
    if store.contents(&key.name).is_empty() {
        store.remove(key, None);
    }
}
