//! A map while it grows: the last value of a key wins, at the place of the first.

use std::collections::{HashMap, HashSet};

use bumpalo::Bump;

use super::{Entry, Map, Value};

/// From this size on keys are found by hash.
const INDEX_FROM: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct MapBuilder<'a> {
    entries: Vec<Entry<'a>>,
    index: Option<HashMap<&'a str, usize>>,
}

impl<'a> MapBuilder<'a> {
    /// A builder that begins with what `map` holds.
    pub(crate) fn from_map(map: Map<'a>) -> Self {
        Self { entries: map.entries.to_vec(), index: None }
    }

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), index: None }
    }

    fn position(&mut self, key: &str) -> Option<usize> {
        if self.entries.len() < INDEX_FROM {
            return self.entries.iter().position(|(found, _)| *found == key);
        }
        let entries = &self.entries;
        let index = self
            .index
            .get_or_insert_with(|| (0..).zip(entries).map(|(at, (key, _))| (*key, at)).collect());
        index.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: &'a str, value: Value<'a>) {
        match self.position(key) {
            Some(at) => self.entries[at].1 = value,
            None => {
                if let Some(index) = &mut self.index {
                    index.insert(key, self.entries.len());
                }
                self.entries.push((key, value));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(at) = self.position(key) {
            self.entries.remove(at);
            self.index = None;
        }
    }

    /// Removes many members in one pass.
    pub(crate) fn remove_all<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        let keys: HashSet<&str> = keys.collect();
        self.entries.retain(|(key, _)| !keys.contains(key));
        self.index = None;
    }

    /// Gives the member `from` the key `to`, in place; a former member `to` goes.
    pub(crate) fn rename(&mut self, from: &str, to: &'a str) {
        if from == to || self.position(from).is_none() {
            return;
        }
        self.remove(to);
        if let Some(at) = self.position(from) {
            self.entries[at].0 = to;
            self.index = None;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn finish(self, bump: &'a Bump) -> Map<'a> {
        Map { entries: bump.alloc_slice_copy(&self.entries) }
    }
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::{MapBuilder, Value};

    #[test]
    fn last_value_wins_at_the_first_place_at_any_size() {
        let bump = Bump::new();
        for size in [3, 31, 32, 33, 100] {
            let mut builder = MapBuilder::default();
            for round in ["1", "2"] {
                for at in 0..size {
                    builder.insert(bump.alloc_str(&at.to_string()), Value::Number(round));
                }
            }
            builder.remove("1");
            builder.rename("2", "two");
            let map = builder.finish(&bump);
            assert_eq!(map.entries.len(), size - 1);
            assert_eq!(map.entries[0], ("0", Value::Number("2")));
            assert_eq!(map.entries[1], ("two", Value::Number("2")));
        }
    }
}
