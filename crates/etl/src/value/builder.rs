//! A map while it grows: the last value of a key wins, at the place of the first.

use std::collections::{HashMap, HashSet};

use bumpalo::Bump;

use super::{Entry, Map, Value};

/// From this size on keys are found by hash.
const INDEX_FROM: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct MapBuilder<'a> {
    /// What was removed leaves its place empty, so that places stay what they are.
    entries: Vec<Option<Entry<'a>>>,
    index: Option<HashMap<&'a str, usize>>,
    removed: usize,
}

impl<'a> MapBuilder<'a> {
    /// What a member costs of the budget: its place here, in the index and in the finished map.
    pub(crate) const ENTRY_BYTES: usize = 128;

    /// A builder that begins with what `map` holds.
    pub(crate) fn from_map(map: Map<'a>) -> Self {
        let entries = map.entries.iter().copied().map(Some).collect();
        Self { entries, index: None, removed: 0 }
    }

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), index: None, removed: 0 }
    }

    fn position(&mut self, key: &str) -> Option<usize> {
        let entries = &self.entries;
        if entries.len() < INDEX_FROM {
            return entries.iter().position(|entry| entry.is_some_and(|(found, _)| found == key));
        }
        let index = self.index.get_or_insert_with(|| {
            let places = (0..).zip(entries);
            places.filter_map(|(at, entry)| Some(((*entry)?.0, at))).collect()
        });
        index.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: &'a str, value: Value<'a>) {
        match self.position(key) {
            Some(at) => self.entries[at] = Some((key, value)),
            None => {
                if let Some(index) = &mut self.index {
                    index.insert(key, self.entries.len());
                }
                self.entries.push(Some((key, value)));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(at) = self.position(key) {
            self.entries[at] = None;
            self.removed += 1;
            if let Some(index) = &mut self.index {
                index.remove(key);
            }
        }
    }

    /// Removes many members in one pass.
    pub(crate) fn remove_all<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        let keys: HashSet<&str> = keys.collect();
        self.entries.retain(|entry| entry.is_some_and(|(key, _)| !keys.contains(key)));
        self.removed = 0;
        self.index = None;
    }

    /// Gives the member `from` the key `to`, in place; a former member `to` goes.
    pub(crate) fn rename(&mut self, from: &str, to: &'a str) {
        if from == to || self.position(from).is_none() {
            return;
        }
        self.remove(to);
        let Some(at) = self.position(from) else { return };
        if let Some((_, value)) = self.entries[at] {
            self.entries[at] = Some((to, value));
        }
        if let Some(index) = &mut self.index {
            index.remove(from);
            index.insert(to, at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.removed
    }

    pub(crate) fn finish(self, bump: &'a Bump) -> Map<'a> {
        let mut entries = bumpalo::collections::Vec::with_capacity_in(self.len(), bump);
        entries.extend(self.entries.into_iter().flatten());
        Map { entries: entries.into_bump_slice() }
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
            builder.remove("1");
            builder.rename("2", "two");
            builder.insert("2", Value::Null);
            builder.remove("2");
            builder.rename("two", "0");
            builder.insert("1", Value::Null);
            assert_eq!(builder.len(), size - 1);
            let map = builder.finish(&bump);
            assert_eq!(map.entries.len(), size - 1);
            assert_eq!(map.entries[0], ("0", Value::Number("2")));
            assert_eq!(map.entries[size - 2], ("1", Value::Null));
        }
    }
}
