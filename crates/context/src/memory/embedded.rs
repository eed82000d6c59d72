//! A memory without a service: BM25 over an inverted index, in this process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use flyball_core_agent::text;

use super::{Memory, MemoryHit};
use crate::Error;

/// Ranks texts by the words they share with the query, rare words first (BM25).
///
/// The same texts in the same order give the same hits with the same scores. It lives in memory:
/// whoever wants it to outlive the process stores the texts again.
///
/// A score is the share of what the query's words could score at most: 1 cannot be reached, 0 is no
/// word in common.
#[derive(Debug)]
pub struct EmbeddedMemory {
    max_texts: usize,
    index: Mutex<Index>,
}

/// Texts kept where nothing is said: some ten megabytes, and a search stays in the milliseconds.
const DEFAULT_MAX_TEXTS: usize = 10_000;

/// A text is cut at this many characters: one memory is a paragraph, not a book.
const MAX_TEXT_CHARS: usize = 4_000;

/// Different words of a query that are looked up. An event's payload can be long.
const MAX_QUERY_WORDS: usize = 256;

/// A word longer than this is noise, such as encoded bytes.
const MAX_WORD_BYTES: usize = 64;

/// BM25's usual constants: how fast a repeated word stops counting, how much a long text is held back.
const K1: f64 = 1.2;
const B: f64 = 0.75;

impl EmbeddedMemory {
    /// A memory of at most 10,000 texts.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_MAX_TEXTS)
    }

    /// A memory of at most `max_texts` texts. When it is full the oldest makes room.
    pub fn with_capacity(max_texts: usize) -> Self {
        Self { max_texts, index: Mutex::default() }
    }

    /// How many texts it holds.
    pub fn len(&self) -> usize {
        self.lock().texts.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("no holder of the index panics")
    }
}

impl Default for EmbeddedMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Memory for EmbeddedMemory {
    async fn search(&self, query: &str, max: usize, min_score: f64) -> Result<Vec<MemoryHit>, Error> {
        Ok(self.lock().search(query, max, min_score))
    }

    async fn store(&self, text: &str, id: &str) -> Result<(), Error> {
        let mut index = self.lock();
        index.put(text::clip(text, MAX_TEXT_CHARS), id);
        while index.texts.len() > self.max_texts {
            index.drop_oldest();
        }
        Ok(())
    }
}

/// A text's place in the order of storing.
type Place = u64;

#[derive(Debug, Default)]
struct Index {
    next: Place,
    texts: BTreeMap<Place, Text>,
    by_id: HashMap<String, Place>,
    /// Where each word stands, and how often.
    postings: HashMap<String, BTreeMap<Place, u32>>,
    /// Words of all texts together.
    words: usize,
}

#[derive(Debug)]
struct Text {
    id: String,
    text: String,
    words: usize,
}

impl Index {
    /// Keeps `text`; an id that is known keeps its place in the order.
    fn put(&mut self, text: String, id: &str) {
        let place = match self.by_id.get(id).copied() {
            Some(place) if self.texts.get(&place).is_some_and(|known| known.text == text) => return,
            Some(place) => {
                self.remove(place);
                place
            }
            None => {
                self.next += 1;
                self.next
            }
        };
        let mut count = 0;
        for word in words(&text) {
            count += 1;
            *self.postings.entry(word).or_default().entry(place).or_default() += 1;
        }
        self.words += count;
        self.by_id.insert(id.to_owned(), place);
        self.texts.insert(place, Text { id: id.to_owned(), text, words: count });
    }

    fn drop_oldest(&mut self) {
        if let Some(place) = self.texts.keys().next().copied() {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: Place) {
        let Some(gone) = self.texts.remove(&place) else { return };
        self.by_id.remove(&gone.id);
        self.words -= gone.words;
        for word in words(&gone.text).collect::<BTreeSet<_>>() {
            if let Some(posting) = self.postings.get_mut(&word) {
                posting.remove(&place);
                if posting.is_empty() {
                    self.postings.remove(&word);
                }
            }
        }
    }

    fn search(&self, query: &str, max: usize, min_score: f64) -> Vec<MemoryHit> {
        let mut scores: BTreeMap<Place, f64> = BTreeMap::new();
        let mut most = 0.0;
        for word in query_words(query) {
            let posting = self.postings.get(&word);
            let weight = self.weight(posting.map_or(0, BTreeMap::len));
            most += weight * (K1 + 1.0);
            for (&place, &times) in posting.into_iter().flatten() {
                *scores.entry(place).or_default() += weight * self.frequency(place, times);
            }
        }
        let mut ranked: Vec<(f64, Place)> = scores.into_iter().map(|(place, score)| (score / most, place)).collect();
        ranked.retain(|(score, _)| *score >= min_score);
        // Of two that fit equally well the newer one comes first.
        ranked.sort_by(|(a, a_place), (b, b_place)| b.total_cmp(a).then(b_place.cmp(a_place)));
        ranked.truncate(max);
        ranked.into_iter().filter_map(|(score, place)| self.hit(place, score)).collect()
    }

    fn hit(&self, place: Place, score: f64) -> Option<MemoryHit> {
        let found = self.texts.get(&place)?;
        Some(MemoryHit { id: found.id.clone(), text: found.text.clone(), score })
    }

    /// How much a word says that `texts` texts have: the rarer, the more.
    fn weight(&self, texts: usize) -> f64 {
        let (all, with) = (self.texts.len() as f64, texts as f64);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    /// How much a word that stands `times` times in a text counts there.
    fn frequency(&self, place: Place, times: u32) -> f64 {
        let length = self.texts.get(&place).map_or(0, |text| text.words) as f64;
        let average = (self.words as f64 / self.texts.len() as f64).max(1.0);
        let times = f64::from(times);
        times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * length / average))
    }
}

/// The query's first different words. A sorted set, so that floats are added in the same order each time.
fn query_words(query: &str) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    for word in words(query) {
        asked.insert(word);
        if asked.len() == MAX_QUERY_WORDS {
            break;
        }
    }
    asked
}

/// The words of a text: runs of letters and digits, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.len() <= MAX_WORD_BYTES)
        .map(str::to_lowercase)
}
