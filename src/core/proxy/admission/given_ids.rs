//! Ids that requests give to items. While such a request is in flight, a list that shows one of its
//! ids makes nobody the owner of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The ids that requests in flight give to items, each with the number of those requests. Clones
/// share them.
#[derive(Clone, Default)]
pub struct GivenIds(Arc<Mutex<HashMap<String, usize>>>);

impl GivenIds {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a request in flight gives this id to an item.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }
}

/// The ids that one request gives, in flight until they are dropped.
pub struct ReservedIds {
    all: GivenIds,
    ids: Vec<String>,
}

impl ReservedIds {
    /// Counts the ids of a request in.
    #[must_use]
    pub fn start(all: &GivenIds, ids: Vec<String>) -> Self {
        let mut counts = all.lock();
        for id in &ids {
            *counts.entry(id.clone()).or_default() += 1;
        }
        drop(counts);
        Self {
            all: all.clone(),
            ids,
        }
    }
}

impl ReservedIds {
    /// Returns the ids that the request gives.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }
}

impl Drop for ReservedIds {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        for id in &self.ids {
            if let Some(count) = counts.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_flight_as_long_as_one_request_gives_it() {
        let all = GivenIds::default();
        let give = |ids: [&str; 2]| ReservedIds::start(&all, ids.map(str::to_owned).to_vec());
        let (first, second) = (give(["msg_1", "msg_2"]), give(["msg_2", "msg_2"]));
        assert_eq!(first.ids(), ["msg_1", "msg_2"]);
        assert!(all.contains("msg_1") && all.contains("msg_2") && !all.contains("msg_3"));
        drop(first);
        assert!(!all.contains("msg_1") && all.contains("msg_2"));
        drop(second);
        assert!(!all.contains("msg_2"));
        assert!(all.lock().is_empty(), "nothing is left behind");
    }
}
