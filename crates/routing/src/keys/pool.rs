//! The keys of one provider, as a whole.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};
use secrecy::SecretString;

use super::health::{Health, Off, Offer, Quota, Use};
use super::key::{Key, KeyRef, Lease};
use super::line::{Group, Keys};
use super::news::{KeyNews, KeyTurn};
use super::shared::Shared;
use super::spec::{KeyLimits, KeySettings, KeySpec};
use super::standing::{KeyCensus, SavedKey, Standing};
use super::unready::{Hindrance, Unready};
use crate::{Fault, Moment, Scope};

/// The keys of one provider, used in turn or by weight. Those that the upstream has turned away rest for a while, and those
/// that are at their limits are passed over.
///
/// All methods may be called at the same time from many threads; none waits for anything but another such call.
#[derive(Default)]
pub struct KeyPool {
    rows: Vec<Row>,
    counts_tokens: bool,
    book: Mutex<Book>,
}

/// What the configuration says of a key beside its secret.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) weight: u32,
    pub(super) tags: Box<[Arc<str>]>,
    account: Option<Arc<str>>,
    limits: Option<Box<KeyLimits>>,
    disabled: Option<Box<str>>,
}

impl Row {
    pub(super) fn limits(&self) -> KeyLimits {
        self.limits.as_deref().copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Book {
    keys: Vec<Arc<Key>>,
    /// The first is that of all keys.
    groups: Vec<Group>,
    known: FxHashMap<Vec<String>, Selection>,
    shared: Arc<Shared>,
}

/// Some of the keys of the pool that it came from; of another pool it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    group: u32,
    found: u32,
}

impl Selection {
    /// All keys of whichever pool.
    pub const ALL: Self = Self {
        group: 0,
        found: u32::MAX,
    };

    /// No key has one of the tags. Those that are drained or switched off count as keys.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::ALL
    }
}

/// Keys of a pool, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyCount {
    /// Those with a weight of 0 are none.
    pub all: usize,
    /// Could be used at once.
    pub ready: usize,
}

/// What a request wants of a key.
pub struct Wanted<'a> {
    pub from: Selection,
    /// The upstream's name of the model.
    pub model: &'a str,
    /// Requests with the same number get the same key, as long as that is ready; `None`: the next in turn.
    pub sticky: Option<u64>,
    /// Tokens of prompt and answer, estimated; counted against the key's limits.
    pub tokens: u64,
    /// Keys that are not to be used again. Must not call the pool.
    pub tried: &'a dyn Fn(&Key) -> bool,
}

impl<'a> Wanted<'a> {
    /// Any key for a model.
    pub fn of(model: &'a str) -> Self {
        Self {
            from: Selection::ALL,
            model,
            sticky: None,
            tokens: 0,
            tried: &|_| false,
        }
    }
}

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("from", &self.from)
            .field("model", &self.model)
            .field("sticky", &self.sticky)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl KeyPool {
    /// Takes each key once, in order, be it a [`KeySpec`] or a plain secret; empty secrets are left out, and of equal ones the
    /// first counts.
    pub fn new<S: Into<KeySpec>>(specs: impl IntoIterator<Item = S>) -> Self {
        let specs = specs.into_iter().map(Into::into);
        Self::of(specs.filter(|spec: &KeySpec| !spec.is_none()))
    }

    /// The pool of a server that wants no credential: its only key [is none](Key::is_none).
    pub fn keyless() -> Self {
        Self::of([KeySpec::new(SecretString::default())].into_iter())
    }

    fn of(specs: impl Iterator<Item = KeySpec>) -> Self {
        let mut rows = Vec::new();
        let mut book = Book::default();
        let mut known = FxHashSet::default();
        // Many keys have the same tags.
        let mut words: FxHashSet<Arc<str>> = FxHashSet::default();
        let mut named = |name: &str| {
            if let Some(known) = words.get(name) {
                return Arc::clone(known);
            }
            let name: Arc<str> = name.into();
            words.insert(Arc::clone(&name));
            name
        };
        for spec in specs {
            let fingerprint = spec.fingerprint();
            if !known.insert(fingerprint) {
                continue;
            }
            let row = Row {
                weight: spec.weight,
                tags: spec.tags.iter().map(|tag| named(tag)).collect(),
                account: spec.account.as_deref().map(&mut named),
                limits: (spec.limits != KeyLimits::default()).then(|| Box::new(spec.limits)),
                disabled: spec.disabled.as_deref().map(Into::into),
            };
            let key = Arc::new(Key::new(&spec, fingerprint));
            row.settle(&key, &book.shared);
            rows.push(row);
            book.keys.push(key);
        }
        if !rows.is_empty() {
            let group = book.group(&rows, 0..rows.len());
            book.groups.push(group);
        }
        Self {
            counts_tokens: rows
                .iter()
                .any(|row| row.limits().tokens_per_minute.is_some()),
            rows,
            book: Mutex::new(book),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Some key's limit counts tokens.
    pub fn counts_tokens(&self) -> bool {
        self.counts_tokens
    }

    /// All keys, in the order of the configuration.
    pub fn keys(&self) -> impl Iterator<Item = KeyRef> {
        self.book().keys.clone().into_iter().map(KeyRef)
    }

    /// All keys and what the configuration says of them, in its order.
    pub fn settings(&self) -> impl Iterator<Item = KeySettings<'_>> {
        self.keys().zip(&self.rows).map(|(key, row)| KeySettings {
            key,
            weight: row.weight,
            tags: &row.tags,
            account: row.account.as_deref(),
            limits: row.limits(),
            disabled: row.disabled.as_deref(),
        })
    }

    /// The keys with one of these tags; all keys when there are none. The same tags have the same selection, so it may be asked
    /// for often, but it takes as many steps as there are keys the first time: do it when the configuration is read.
    pub fn select(&self, tags: &[String]) -> Selection {
        if tags.is_empty() {
            return Selection::ALL;
        }
        let mut tags = tags.to_vec();
        tags.sort_unstable();
        tags.dedup();
        let mut book = self.book();
        if let Some(selection) = book.known.get(&tags) {
            return *selection;
        }
        let has = |row: &Row| {
            row.tags
                .iter()
                .any(|tag| tags.iter().any(|wanted| **wanted == **tag))
        };
        let places = self.rows.iter().enumerate().filter(|(_, row)| has(row));
        let group = book.group(&self.rows, places.map(|(place, _)| place));
        let selection = Selection {
            group: u32::try_from(book.groups.len().max(1)).unwrap_or(u32::MAX),
            found: u32::try_from(group.found()).unwrap_or(u32::MAX),
        };
        if !book.groups.is_empty() {
            book.groups.push(group);
        }
        book.known.insert(tags, selection);
        selection
    }

    /// The next key in turn that may be used.
    pub fn take(&self, wanted: &Wanted<'_>, now: Moment) -> Result<Lease, Unready> {
        let mut book = self.book();
        let (place, probe) = book.find(&self.rows, wanted, true, now)?;
        book.lease(&self.rows, place, probe, wanted.tokens)
            .ok_or(Unready::NO_KEYS)
    }

    /// Whether [`take`](Self::take) would give a key; nothing changes.
    pub fn ready(&self, wanted: &Wanted<'_>, now: Moment) -> Result<(), Unready> {
        self.book().find(&self.rows, wanted, false, now).map(|_| ())
    }

    /// The key that [`take`](Self::take) would give; nothing changes.
    pub fn peek(&self, wanted: &Wanted<'_>, now: Moment) -> Result<KeyRef, Unready> {
        let mut book = self.book();
        let (place, _) = book.find(&self.rows, wanted, false, now)?;
        let key = book.keys.get(place).ok_or(Unready::NO_KEYS)?;
        Ok(KeyRef(Arc::clone(key)))
    }

    /// The key that [`take_least_bad`](Self::take_least_bad) would give; nothing changes.
    pub fn peek_least_bad(&self, wanted: &Wanted<'_>, now: Moment) -> Option<KeyRef> {
        if let Ok(key) = self.peek(wanted, now) {
            return Some(key);
        }
        let book = self.book();
        let keys = Keys {
            all: &book.keys,
            rows: &self.rows,
            bell: &book.shared.bell,
        };
        let group = book.groups.get(wanted.from.group as usize)?;
        let place = group.least_bad(&keys, wanted, now)?;
        book.keys.get(place).map(|key| KeyRef(Arc::clone(key)))
    }

    /// How many of the keys that are wanted could be used now. Takes as many steps as there are keys; others do not wait for it.
    pub fn count_ready(&self, wanted: &Wanted<'_>, now: Moment) -> KeyCount {
        let (all, members, bell) = {
            let book = self.book();
            let group = book.groups.get(wanted.from.group as usize);
            let members = group.map(|group| group.members().to_vec());
            let bell = Arc::clone(&book.shared.bell);
            (book.keys.clone(), members.unwrap_or_default(), bell)
        };
        let keys = Keys {
            all: &all,
            rows: &self.rows,
            bell: &bell,
        };
        let is_ready = |place: &&u32| keys.is_ready(**place as usize, wanted, now);
        KeyCount {
            ready: members.iter().filter(is_ready).count(),
            all: members.len(),
        }
    }

    /// A key that rests, where none that may be used can be had and something must be tried: the one that is ready first, those
    /// that are only limited before the others. `None`: all that there are have been tried, are off, or have as much under way as
    /// they may.
    pub fn take_least_bad(&self, wanted: &Wanted<'_>, now: Moment) -> Option<Lease> {
        let mut guard = self.book();
        let book = &mut *guard;
        if let Ok((place, probe)) = book.find(&self.rows, wanted, true, now) {
            return book.lease(&self.rows, place, probe, wanted.tokens);
        }
        let keys = Keys {
            all: &book.keys,
            rows: &self.rows,
            bell: &book.shared.bell,
        };
        let group = book.groups.get(wanted.from.group as usize)?;
        let place = group.least_bad(&keys, wanted, now)?;
        let probe = book
            .keys
            .get(place)?
            .health()
            .begin(&keys.use_of(place, wanted, now));
        book.lease(&self.rows, place, probe, wanted.tokens)
    }

    /// A request with the key failed.
    pub fn report(&self, key: &Key, model: &str, fault: &Fault, now: Moment) {
        self.failed(key, model, fault, true, now);
    }

    /// A question of the gateway's own failed, which is in nobody's tally.
    pub fn report_check(&self, key: &Key, model: &str, fault: &Fault, now: Moment) {
        self.failed(key, model, fault, false, now);
    }

    fn failed(&self, key: &Key, model: &str, fault: &Fault, counts: bool, now: Moment) {
        let shared = self.shared();
        let elsewhere = fault.is_of_upstream() && shared.served_elsewhere(model, key.point(), now);
        if let Some(account) = &fault.account {
            self.learn_account(key, account);
        }
        let fails = |health: &mut Health| {
            if counts {
                health.tally.failed(fault.status);
            }
            health.failed(model, fault, elsewhere, now)
        };
        shared.change(key, model, now, fails);
        if fault.scope == Scope::Account {
            shared.board.changed();
        }
    }

    /// The upstream began to serve a request with the key.
    pub fn served(&self, key: &Key, model: &str, now: Moment) {
        let shared = self.shared();
        shared.served(model, key.point(), now);
        shared.change(key, model, now, |health| {
            health.tally.served();
            health.served(model, now)
        });
    }

    /// The upstream answered a question of the gateway's own with the key, which is in nobody's tally. `model`: the one that was
    /// asked; `None`: a question that costs nothing, so that it only shows that the key is accepted.
    pub fn served_check(&self, key: &Key, model: Option<&str>, now: Moment) {
        let shared = self.shared();
        shared.change(key, model.unwrap_or_default(), now, |health| match model {
            Some(model) => health.served(model, now),
            None => health.accepted(now),
        });
    }

    /// The same key once more, if it may be used now: what goes on with an answer goes where it began, and finds there what the
    /// upstream keeps of the prompt.
    pub fn take_again(&self, key: &Key, wanted: &Wanted<'_>, now: Moment) -> Option<Lease> {
        let book = self.book();
        let known = |other: &Arc<Key>| other.fingerprint() == key.fingerprint();
        let place = book.keys.iter().position(known)?;
        let keys = Keys {
            all: &book.keys,
            rows: &self.rows,
            bell: &book.shared.bell,
        };
        let wanted_use = keys.use_of(place, wanted, now);
        let mut health = book.keys.get(place)?.health();
        let probe = match health.offer(&wanted_use, false) {
            Offer::Ready => health.begin(&wanted_use),
            Offer::Asleep { .. } | Offer::Scarce(_) | Offer::TooMany(_) => return None,
        };
        drop(health);
        book.lease(&self.rows, place, probe, wanted.tokens)
    }

    /// The key at a place, however it stands, to be asked about by somebody who wants to know; `None`: there are not so many.
    pub fn take_at(&self, place: usize, now: Moment) -> Option<Lease> {
        let key = self.book().keys.get(place).cloned()?;
        let row = self.rows.get(place)?;
        let probe = key.health().begin(&Use {
            limits: row.limits(),
            model: "",
            tokens: 0,
            now,
        });
        self.book().lease(&self.rows, place, probe, 0)
    }

    /// A key that was not accepted, or with `paid` one that had nothing left, whose time has come to be tested; else when the first
    /// of them is to be. Takes as many steps as there are keys.
    pub fn take_to_test(&self, paid: bool, now: Moment) -> Result<Lease, Option<Moment>> {
        let keys = self.book().keys.clone();
        let mut first: Option<Moment> = None;
        for (place, (key, row)) in keys.iter().zip(&self.rows).enumerate() {
            if row.weight == 0 {
                continue;
            }
            let mut health = key.health();
            let Some(at) = health.tested_at(paid, now) else {
                continue;
            };
            if at > now {
                first = Some(first.map_or(at, |first| first.min(at)));
                continue;
            }
            let probe = health.begin(&Use {
                limits: row.limits(),
                model: "",
                tokens: 0,
                now,
            });
            drop(health);
            let lease = self.book().lease(&self.rows, place, probe, 0);
            return lease.ok_or(None);
        }
        Err(first)
    }

    /// Most keys failed together, so it was not theirs: takes back that keys were disabled or exhausted at this moment or later.
    /// What there was before stands, and is tested at once.
    pub fn forgive(&self, since: Moment, now: Moment) {
        let book = self.book();
        let mut any = false;
        for key in &book.keys {
            any |= book
                .shared
                .change(key, "", now, |health| health.forgive(since, now));
        }
        if any {
            book.shared.bell.ring_all();
        }
    }

    /// The upstream says what is left of what the key may use.
    pub fn quota(&self, key: &Key, quota: Quota) {
        let sooner = key.health().told(quota);
        if sooner {
            self.shared().bell.ring(key.point());
        }
    }

    /// The upstream says whose the key is. What is configured counts more.
    pub fn learn_account(&self, key: &Key, name: &str) {
        let is_known = |health: &Health| {
            let known = health.account.as_ref();
            health.account_configured || known.is_some_and(|account| *account.name == *name)
        };
        if !is_known(&key.health()) {
            let shared = self.shared();
            let account = shared.account(name);
            let before = key.health().account.replace(account);
            if let Some(before) = before {
                shared.left(&before);
            }
        }
    }

    /// Which part is left of what these keys may use, from 0 to 1, as far as is known; of large pools an estimate.
    pub fn headroom(&self, from: Selection, now: Moment) -> f32 {
        let book = self.book();
        let keys = Keys {
            all: &book.keys,
            rows: &self.rows,
            bell: &book.shared.bell,
        };
        let group = book.groups.get(from.group as usize);
        group.map_or(0.0, |group| group.headroom(&keys, now))
    }

    /// Switches a key off by hand; `id` as [`Key::id`]. Whether there is such a key.
    pub fn disable(&self, id: &str, reason: &str) -> bool {
        let Some(key) = self.key(id) else {
            return false;
        };
        key.health().off = Some(Box::new(Off {
            reason: reason.into(),
            configured: false,
        }));
        let turn = KeyTurn::Off {
            reason: reason.to_owned(),
        };
        self.shared().tell(&key, Some(turn), true);
        true
    }

    /// Switches a key on by hand and forgets why it rests; `id` as [`Key::id`]. Whether there is such a key. One that the
    /// configuration switches off is off again when that is read anew.
    pub fn enable(&self, id: &str) -> bool {
        let Some(key) = self.key(id) else {
            return false;
        };
        let mut health = key.health();
        health.off = None;
        health.rest = None;
        health.models.clear();
        drop(health);
        let shared = self.shared();
        shared.bell.ring(key.point());
        shared.tell(&key, Some(KeyTurn::Enabled), true);
        true
    }

    fn key(&self, id: &str) -> Option<Arc<Key>> {
        self.book().keys.iter().find(|key| key.has_id(id)).cloned()
    }

    /// The place of a key in the order of the configuration; `id` as [`Key::id`].
    pub fn position(&self, id: &str) -> Option<usize> {
        let book = self.book();
        book.keys.iter().position(|key| key.has_id(id))
    }

    /// How the keys stand from this place on, in the order of the configuration.
    pub fn standings(&self, from: usize, now: Moment) -> impl Iterator<Item = Standing> + '_ {
        let keys = self.book().keys.clone();
        let keys = keys.into_iter().zip(&self.rows).skip(from);
        keys.map(move |(key, row)| Standing::of(&key, row, now))
    }

    /// All keys together.
    pub fn census(&self, now: Moment) -> KeyCensus {
        let keys = self.book().keys.clone();
        let mut census = KeyCensus::default();
        for key in &keys {
            census.count(key, now);
        }
        census
    }

    /// How all keys stand, in the order of the configuration.
    pub fn states(&self, now: Moment) -> Vec<Standing> {
        let keys = self.book().keys.clone();
        keys.iter()
            .zip(&self.rows)
            .map(|(key, row)| Standing::of(key, row, now))
            .collect()
    }

    /// What is to be kept over a restart.
    pub fn saved(&self, now: Moment) -> Vec<SavedKey> {
        let keys = self.book().keys.clone();
        let mut saved = Vec::new();
        for key in &keys {
            key.health().save(*key.fingerprint(), now, &mut saved);
        }
        saved
    }

    /// Rises whenever [`saved`](Self::saved) has changed in more than the time that is left; cheap, to be looked at often. Pools
    /// that inherit from each other count together.
    pub fn changes(&self) -> u64 {
        self.shared().board.changes()
    }

    /// What has happened to keys since it was asked last, and how much more that is left out; cheap, to be asked often.
    pub fn news(&self) -> (Vec<KeyNews>, u64) {
        self.shared().board.take()
    }

    /// What was kept over a restart. Call it before the first request; keys that there are no more are left out.
    pub fn restore(&self, saved: &[SavedKey], now: Moment) {
        let book = self.book();
        let known: FxHashMap<&[u8; 32], &Arc<Key>> = book
            .keys
            .iter()
            .map(|key| (key.fingerprint(), key))
            .collect();
        for saved in saved {
            if let Some(key) = known.get(&saved.fingerprint) {
                key.health().restore(saved, now);
            }
        }
    }

    /// Shares with an older pool how equal keys fare, so that reports of requests that are under way reach both. Call it before
    /// the first request.
    pub fn inherit(&self, old: &Self) {
        let (keys, shared) = {
            let old = old.book();
            (old.keys.clone(), Arc::clone(&old.shared))
        };
        let known: FxHashMap<&[u8; 32], &Arc<Key>> =
            keys.iter().map(|key| (key.fingerprint(), key)).collect();
        let mut guard = self.book();
        let book = &mut *guard;
        book.shared = shared;
        for (key, row) in book.keys.iter_mut().zip(&self.rows) {
            if let Some(old) = known.get(key.fingerprint()) {
                *key = Arc::clone(old);
            }
            row.settle(key, &book.shared);
        }
        book.shared.tidy();
        // Keys that were switched on are looked at by the older pool, too.
        book.shared.bell.ring_all();
        for group in &mut book.groups {
            group.restart(&book.shared.bell);
        }
    }

    /// Keys that were looked at by all choices among all keys, and the lines that these were made from.
    #[cfg(test)]
    pub(super) fn cost(&self) -> (u64, usize) {
        let book = self.book();
        let first = book.groups.first();
        first.map_or((0, 0), |group| (group.steps(), group.lines()))
    }

    /// Accounts that are remembered.
    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        self.shared().accounts()
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.book().shared)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing under this lock panics.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    /// Puts into effect what the configuration says of the key.
    fn settle(&self, key: &Key, shared: &Shared) {
        let mut health = key.health();
        if let Some(reason) = &self.disabled {
            health.off = Some(Box::new(Off {
                reason: reason.clone(),
                configured: true,
            }));
        } else {
            health.off.take_if(|off| off.configured);
        }
        health.account_configured = self.account.is_some();
        if let Some(name) = &self.account {
            health.account = Some(shared.account(name));
        }
    }
}

impl Book {
    fn group(&self, rows: &[Row], places: impl Iterator<Item = usize>) -> Group {
        Group::new(
            places,
            &Keys {
                all: &self.keys,
                rows,
                bell: &self.shared.bell,
            },
        )
    }

    fn find(
        &mut self,
        rows: &[Row],
        wanted: &Wanted<'_>,
        commit: bool,
        now: Moment,
    ) -> Result<(usize, Option<u32>), Unready> {
        let keys = Keys {
            all: &self.keys,
            rows,
            bell: &self.shared.bell,
        };
        let group = self.groups.get_mut(wanted.from.group as usize);
        group
            .ok_or(Unready::NO_KEYS)?
            .find(&keys, wanted, commit, now)
    }

    fn lease(&self, rows: &[Row], place: usize, probe: Option<u32>, tokens: u64) -> Option<Lease> {
        let key = Arc::clone(self.keys.get(place)?);
        let limit = rows.get(place)?.limits().tokens_per_minute;
        let taken = limit.map(|limit| (tokens, limit));
        Some(Lease::new(key, Arc::clone(&self.shared.bell), probe, taken))
    }
}

impl Unready {
    const NO_KEYS: Self = Self {
        ready_at: None,
        why: Hindrance::NoKeys,
        only_limits: false,
        reason: None,
    };
}

// By hand: of many keys their number says enough.
impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self
            .keys()
            .take(10)
            .map(|key| key.label().to_owned())
            .collect();
        f.debug_struct("KeyPool")
            .field("len", &self.len())
            .field("first", &labels)
            .finish_non_exhaustive()
    }
}
