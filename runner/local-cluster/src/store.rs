//! All objects, their versions and a bounded history of changes.
//!
//! One counter gives every write its version. Watches and controllers hold no queue of their own: each remembers the last
//! version it saw and reads on from the history, and whoever falls behind it gets 410, as in Kubernetes. So a slow
//! reader costs nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::fault::Faults;
use crate::object::{Key, Metadata, Object, metadata_mut};
use crate::resource::Resource;

mod delete;

pub(crate) use delete::{Deleted, Deletion, FOREGROUND, ORPHAN, Propagation};

/// The state of the cluster. Behind one lock; nothing awaits while it holds it.
pub(crate) struct Store {
    version: u64,
    objects: BTreeMap<Key, Object>,
    /// Where the object with this uid lives.
    uids: HashMap<String, Key>,
    /// The objects that name this uid among their owners, whether or not the owner exists.
    dependents: HashMap<String, BTreeSet<Key>>,
    /// The changes with the versions `version - history.len() + 1 ..= version`.
    history: VecDeque<Change>,
    history_limit: usize,
    announce: watch::Sender<u64>,
    faults: Faults,
    /// Objects whose removal a fault hook holds, by uid, and until when.
    held: BTreeMap<String, Timestamp>,
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    /// The object before, absent when the write created it.
    pub(crate) before: Option<Object>,
    /// The object after; for a removal its last state, with the version of the removal.
    pub(crate) after: Object,
    pub(crate) is_removal: bool,
}

/// The version asked for is no longer in the history.
#[derive(Debug, PartialEq)]
pub(crate) struct Expired {
    /// The oldest version one can still watch from.
    pub(crate) oldest: u64,
}

/// What became of a written object.
#[derive(Debug)]
pub(crate) enum Settled {
    Kept(Object),
    /// Its deletion had only waited for this write.
    Removed(Object),
}

impl Settled {
    pub(crate) fn into_object(self) -> Object {
        match self {
            Self::Kept(object) | Self::Removed(object) => object,
        }
    }
}

impl Store {
    pub(crate) fn new(history_limit: usize, faults: Faults) -> Self {
        Self {
            version: 1,
            objects: BTreeMap::new(),
            uids: HashMap::new(),
            dependents: HashMap::new(),
            history: VecDeque::new(),
            history_limit,
            announce: watch::Sender::new(1),
            faults,
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Shows the newest version; changes with each write.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.announce.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<(&Key, &Object)> {
        let key = self.uids.get(uid)?;
        Some((key, self.objects.get(key)?))
    }

    /// The objects of a kind in the order of namespace and name, of one namespace or of all.
    pub(crate) fn list(&self, resource: Resource, namespace: Option<&str>) -> impl Iterator<Item = (&Key, &Object)> {
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let namespace = namespace.map(str::to_owned);
        self.objects.range(first..).take_while(move |(key, _)| {
            key.resource == resource && namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
        })
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(Key, Object)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), self.objects.get(key)?.clone()))).collect()
    }

    /// Everything there is in a namespace.
    pub(crate) fn contents(&self, namespace: &str) -> Vec<Key> {
        let of = |resource| self.list(resource, Some(namespace)).map(|(key, _)| key.clone());
        Resource::ALL.into_iter().filter(|resource| resource.is_namespaced()).flat_map(of).collect()
    }

    /// The changes after `version`, oldest first.
    pub(crate) fn changes_after(&self, version: u64) -> Result<impl Iterator<Item = &Change>, Expired> {
        let oldest = self.oldest();
        if version < oldest {
            return Err(Expired { oldest });
        }
        // One change a version: the distance to the newest is the number of changes.
        let missed = usize::try_from(self.version.saturating_sub(version)).unwrap_or(usize::MAX);
        Ok(self.history.iter().skip(self.history.len().saturating_sub(missed)))
    }

    /// All changes that are remembered, oldest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.history.iter()
    }

    /// The objects of a kind as they were at `version`: what goes on with a list in pieces must not mix two states.
    pub(crate) fn list_at(&self, resource: Resource, version: u64) -> Result<BTreeMap<Key, Object>, Expired> {
        let mut then: BTreeMap<Key, Object> =
            self.list(resource, None).map(|(key, object)| (key.clone(), object.clone())).collect();
        let undo: Vec<&Change> =
            self.changes_after(version)?.filter(|change| change.key.resource == resource).collect();
        for change in undo.into_iter().rev() {
            match &change.before {
                Some(before) => drop(then.insert(change.key.clone(), before.clone())),
                None => drop(then.remove(&change.key)),
            }
        }
        Ok(then)
    }

    fn oldest(&self) -> u64 {
        self.version.saturating_sub(u64::try_from(self.history.len()).unwrap_or(u64::MAX))
    }

    /// Creates or replaces an object and gives it its version. A write that changes nothing is none.
    pub(crate) fn put(&mut self, key: &Key, mut object: Value) -> Object {
        let before = self.objects.get(key).cloned();
        if let Some(before) = &before {
            metadata_mut(&mut object).insert("resourceVersion".to_owned(), before.version().into());
            if object == **before {
                return before.clone();
            }
        }
        let version = self.version.saturating_add(1);
        metadata_mut(&mut object).insert("resourceVersion".to_owned(), version.to_string().into());
        let after = Arc::new(object);
        if let Some(before) = &before {
            self.forget_links(key, before);
        }
        self.uids.insert(after.uid().to_owned(), key.clone());
        for owner in after.owners() {
            self.dependents.entry(owner.uid.to_owned()).or_default().insert(key.clone());
        }
        self.objects.insert(key.clone(), after.clone());
        self.commit(Change { version, key: key.clone(), before, after: after.clone(), is_removal: false });
        after
    }

    /// Writes a changed object; one whose deletion waited for nothing else goes.
    pub(crate) fn settle(&mut self, key: &Key, object: Value) -> Settled {
        if key.resource != Resource::Namespaces && delete::is_due(&object) {
            if let Some(removed) = self.remove(key, Some(object)) {
                return Settled::Removed(removed);
            }
            return Settled::Removed(Arc::new(Value::Null));
        }
        Settled::Kept(self.put(key, object))
    }

    /// Changes an object in place; nothing happens when it is not there.
    pub(crate) fn modify(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Option<Settled> {
        let mut object = Value::clone(self.objects.get(key)?);
        change(&mut object);
        Some(self.settle(key, object))
    }

    /// Removes an object at once. `last` is the state its removal shows, else the stored one.
    pub(crate) fn remove(&mut self, key: &Key, last: Option<Value>) -> Option<Object> {
        let before = self.objects.remove(key)?;
        self.forget_links(key, &before);
        let version = self.version.saturating_add(1);
        let mut last = last.unwrap_or_else(|| Value::clone(&before));
        metadata_mut(&mut last).insert("resourceVersion".to_owned(), version.to_string().into());
        let after = Arc::new(last);
        let change = Change { version, key: key.clone(), before: Some(before), after: after.clone(), is_removal: true };
        self.commit(change);
        Some(after)
    }

    fn forget_links(&mut self, key: &Key, object: &Object) {
        self.uids.remove(object.uid());
        for owner in object.owners() {
            if let Some(keys) = self.dependents.get_mut(owner.uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner.uid);
                }
            }
        }
    }

    fn commit(&mut self, change: Change) {
        self.version = change.version;
        self.history.push_back(change);
        while self.history.len() > self.history_limit {
            self.history.pop_front();
        }
        self.announce.send_replace(self.version);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store(limit: usize) -> Store {
        Store::new(limit, Faults::default())
    }

    fn secret(name: &str, value: u32) -> (Key, Value) {
        let uid = format!("uid-{name}");
        let object = json!({"metadata": {"name": name, "namespace": "n", "uid": uid}, "value": value});
        (Key::new(Resource::Secrets, "n", name), object)
    }

    fn put(store: &mut Store, name: &str, value: u32) -> Object {
        let (key, object) = secret(name, value);
        store.put(&key, object)
    }

    #[test]
    fn each_write_has_the_next_version_and_a_write_of_nothing_none() {
        let mut store = store(10);
        assert_eq!(put(&mut store, "a", 1).version(), "2");
        assert_eq!(put(&mut store, "b", 1).version(), "3");
        assert_eq!(put(&mut store, "a", 1).version(), "2");
        assert_eq!(put(&mut store, "a", 2).version(), "4");
        assert_eq!(store.version(), 4);
    }

    #[test]
    fn history_is_bounded_and_says_so() {
        let mut store = store(2);
        for value in 0..4 {
            put(&mut store, "a", value);
        }
        let seen: Vec<u64> = store.changes_after(3).unwrap().map(|change| change.version).collect();
        assert_eq!(seen, [4, 5]);
        assert_eq!(store.changes_after(2).err(), Some(Expired { oldest: 3 }));
        assert_eq!(store.changes_after(5).unwrap().count(), 0);
    }

    #[test]
    fn an_older_state_can_be_listed() {
        let mut store = store(10);
        put(&mut store, "a", 1);
        put(&mut store, "b", 1);
        let then = store.version();
        put(&mut store, "a", 2);
        put(&mut store, "c", 1);
        store.remove(&secret("b", 0).0, None);
        let names: Vec<(String, Value)> = store
            .list_at(Resource::Secrets, then)
            .unwrap()
            .into_iter()
            .map(|(key, object)| (key.name, object.get("value").cloned().unwrap()))
            .collect();
        assert_eq!(names, [("a".to_owned(), json!(1)), ("b".to_owned(), json!(1))]);
    }
}
