//! The newest of something, up to a number and a weight.

use std::collections::VecDeque;
use std::collections::vec_deque::IntoIter;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// What something takes in memory and in a checkpoint, in bytes, roughly.
pub trait Weigh {
    /// The bytes.
    fn weight(&self) -> usize;
}

/// The newest ones, oldest first. The oldest leave when there are too many of them or when they are too heavy
/// together; the newest one stays however heavy it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "VecDeque<T>",
    into = "VecDeque<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Weigh + Deserialize<'de>")
)]
pub struct Window<T> {
    all: VecDeque<T>,
    /// What all of them take.
    weight: usize,
}

impl<T: Weigh> Window<T> {
    pub(super) fn push(&mut self, one: T, max: usize, max_weight: usize) {
        self.weight += one.weight();
        self.all.push_back(one);
        while self.all.len() > 1 && (self.all.len() > max || self.weight > max_weight) {
            self.remove(0);
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let removed = self.all.remove(index)?;
        self.weight -= removed.weight();
        Some(removed)
    }
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { all: VecDeque::new(), weight: 0 }
    }
}

impl<T> Deref for Window<T> {
    type Target = VecDeque<T>;

    fn deref(&self) -> &VecDeque<T> {
        &self.all
    }
}

impl<T> IntoIterator for Window<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        self.all.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Window<T> {
    type Item = &'a T;
    type IntoIter = std::collections::vec_deque::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl<T: Weigh> From<VecDeque<T>> for Window<T> {
    fn from(all: VecDeque<T>) -> Self {
        let weight = all.iter().map(Weigh::weight).sum();
        Self { all, weight }
    }
}

impl<T> From<Window<T>> for VecDeque<T> {
    fn from(window: Window<T>) -> Self {
        window.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many_or_they_are_too_heavy() {
        let mut window = Window::default();
        for one in [5, 1, 1, 1] {
            window.push(one, 3, 100);
        }
        assert_eq!((Vec::from_iter(window.clone()), window.weight), (vec![1, 1, 1], 3));
        window.push(9, 3, 10);
        assert_eq!((Vec::from_iter(window.clone()), window.weight), (vec![1, 9], 10));
        window.push(50, 3, 10);
        assert_eq!((Vec::from_iter(window.clone()), window.weight), (vec![50], 50), "the newest stays");
        assert_eq!((window.remove(0), window.remove(0), window.weight), (Some(50), None, 0));
    }

    #[test]
    fn what_it_weighs_is_known_again_when_it_was_read() {
        let mut window = Window::default();
        [3, 4].into_iter().for_each(|one: usize| window.push(one, 9, 99));
        let text = serde_json::to_string(&window).expect("written");
        assert_eq!(text, "[3,4]");
        assert_eq!(serde_json::from_str::<Window<usize>>(&text).expect("read"), window);
    }
}
