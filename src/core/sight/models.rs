//! Names of models as values of a label. Clients choose names, so that only so many have a value of
//! their own, and only those that a backend has answered for.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// The most models that have a value of their own.
pub(super) const MAX_MODELS: usize = 200;
/// The value of all other models.
const OTHER: &str = "other";

/// A model in a label: its place in the list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ModelId(u16);

impl ModelId {
    /// The request names no model.
    pub(super) const NONE: Self = Self(0);
    /// All models without a value of their own.
    pub(super) const OTHER: Self = Self(1);

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The names that have a value of their own, shared by all threads. It is locked when a thread
/// meets a name for the first time.
#[derive(Debug)]
pub(super) struct ModelNames {
    names: Mutex<Vec<Arc<str>>>,
}

impl Default for ModelNames {
    fn default() -> Self {
        Self {
            names: Mutex::new(vec!["".into(), OTHER.into()]),
        }
    }
}

impl ModelNames {
    /// Returns all names, each at the place of its id.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<str>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one thread knows of the names.
#[derive(Debug)]
pub(super) struct KnownModels {
    shared: Arc<ModelNames>,
    known: FxHashMap<Arc<str>, ModelId>,
    /// No further names are given values, and this thread knows all that have one.
    is_complete: bool,
}

impl KnownModels {
    pub(super) fn new(shared: Arc<ModelNames>) -> Self {
        Self {
            shared,
            known: FxHashMap::default(),
            is_complete: false,
        }
    }

    /// Returns the id of a name that this thread has met.
    pub(super) fn known(&self, name: &str) -> Option<ModelId> {
        if name.is_empty() {
            return Some(ModelId::NONE);
        }
        self.known.get(name).copied()
    }

    /// Returns the id of a name. `is_served` gives it a value of its own, if there is room.
    pub(super) fn id(&mut self, name: &str, is_served: bool) -> ModelId {
        if let Some(id) = self.known(name) {
            return id;
        }
        if self.is_complete || name == OTHER {
            return ModelId::OTHER;
        }
        let mut names = self.shared.lock();
        let mut found = names.iter().position(|known| **known == *name);
        let has_room = names.len() < MAX_MODELS + 2;
        if found.is_none() && is_served && has_room {
            found = Some(names.len());
            names.push(name.into());
        }
        if !has_room {
            for (place, name) in names.iter().enumerate() {
                self.known.insert(Arc::clone(name), id_at(place));
            }
            self.is_complete = true;
        } else if let Some(place) = found {
            self.known.insert(Arc::clone(&names[place]), id_at(place));
        }
        found.map_or(ModelId::OTHER, id_at)
    }
}

fn id_at(place: usize) -> ModelId {
    u16::try_from(place).map_or(ModelId::OTHER, ModelId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_names_that_were_answered_for_have_values() {
        let shared: Arc<ModelNames> = Arc::default();
        let mut one = KnownModels::new(Arc::clone(&shared));
        let mut two = KnownModels::new(Arc::clone(&shared));
        assert_eq!(one.id("", true), ModelId::NONE);
        assert_eq!(one.id("misspelt", false), ModelId::OTHER);
        assert_eq!(one.id("other", true), ModelId::OTHER);
        let first = one.id("gpt-4.1", true);
        assert_eq!(two.id("gpt-4.1", false), first, "both threads agree");
        for n in 1..500 {
            one.id(&format!("model-{n}"), true);
        }
        assert_eq!(shared.all().len(), MAX_MODELS + 2);
        assert_eq!(one.id("model-499", true), ModelId::OTHER);
        assert_eq!(two.id("model-499", true), ModelId::OTHER);
        assert_eq!(two.id("model-150", false), one.id("model-150", false));
        assert_ne!(two.id("model-150", false), ModelId::OTHER);
        assert!(two.is_complete && two.known.len() == MAX_MODELS + 2);
        assert_eq!(&*shared.all()[first.index()], "gpt-4.1");
    }
}
