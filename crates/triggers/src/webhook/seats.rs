//! Seats for connections, and who gives up his when there is none left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The seats of one port. When all are taken, whoever comes gets that of the guest who has kept his the
/// longest without a whole request: he trickles one, or has said nothing since his last answer. So slow
/// senders keep others waiting for [`PATIENCE`] once for as many as there are seats. A guest whose request is
/// being handled keeps his.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// So many want a seat and have none.
    wanted: AtomicUsize,
}

/// The guests without a whole request, by when they began to be so.
#[derive(Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// So long nobody is sent away: who sends his request as soon as he may has sent it by then.
const PATIENCE: Duration = Duration::from_millis(500);

/// A connection's seat, given up when it is dropped.
pub(super) struct Guest {
    pub(super) remote: SocketAddr,
    seats: Arc<Seats>,
    is: Mutex<Is>,
    must_go: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

/// How a guest stands.
struct Is {
    /// His number among those who wait; none while his request is handled.
    number: Option<u64>,
    was_answered: bool,
}

impl Seats {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), waiting: Mutex::default(), wanted: AtomicUsize::new(0) })
    }

    /// A seat, as soon as there is one. Cancel-safe: whoever no longer wants one has taken none.
    pub(super) async fn take(self: &Arc<Self>, remote: SocketAddr) -> Option<Guest> {
        let seat = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(seat) => seat,
            Err(_) => self.taken_from_another().await?,
        };
        let must_go = CancellationToken::new();
        let number = Some(self.waiting().add(must_go.clone()));
        let is = Mutex::new(Is { number, was_answered: false });
        Some(Guest { remote, seats: Arc::clone(self), is, must_go, _seat: seat })
    }

    async fn taken_from_another(&self) -> Option<OwnedSemaphorePermit> {
        let _waits = Wanted::new(&self.wanted);
        let mut seat = pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            // His seat may go to another who waits, so after a while the next one is sent away.
            let until = if self.send_the_oldest_away() { Instant::now() + PATIENCE } else { self.somebody_may_go() };
            tokio::select! {
                // Nobody is sent away for one who has a seat by now.
                biased;
                seat = &mut seat => return seat.ok(),
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// When the next one may be sent away. Whoever begins to wait after this may be only later.
    fn somebody_may_go(&self) -> Instant {
        let since = self.waiting().by_age.first_key_value().map(|(_, (since, _))| *since);
        since.unwrap_or_else(Instant::now) + PATIENCE
    }

    /// Whether there is one who has kept his seat for so long.
    fn send_the_oldest_away(&self) -> bool {
        let mut waiting = self.waiting();
        let Some(oldest) = waiting.by_age.first_entry().filter(|oldest| oldest.get().0.elapsed() >= PATIENCE) else {
            return false;
        };
        let (_, must_go) = oldest.remove();
        must_go.cancel();
        true
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one who wants a seat, until it is dropped.
struct Wanted<'a>(&'a AtomicUsize);

impl<'a> Wanted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Waiting {
    fn add(&mut self, must_go: CancellationToken) -> u64 {
        self.next += 1;
        self.by_age.insert(self.next, (Instant::now(), must_go));
        self.next
    }
}

impl Guest {
    /// Returns when he must give up his seat.
    pub(super) async fn must_go(&self) {
        self.must_go.cancelled().await;
    }

    /// He begins another request, so the answer to the last one has left.
    pub(super) fn begins(&self) {
        self.is().was_answered = false;
    }

    /// He is to leave with his answer, because others want his seat: else one who asks often would keep it for ever.
    pub(super) fn leaves_with_his_answer(&self) -> bool {
        self.seats.wanted.load(Ordering::Acquire) > 0
    }

    /// His request is here as a whole: he keeps his seat until it is answered. False if he has lost it.
    pub(super) fn has_asked(&self) -> bool {
        let mut is = self.is();
        let Some(number) = is.number.take() else { return !self.must_go.is_cancelled() };
        self.seats.waiting().by_age.remove(&number).is_some()
    }

    /// He has his answer, and waits like one who has just come.
    pub(super) fn is_answered(&self) {
        let mut is = self.is();
        is.was_answered = true;
        let mut waiting = self.seats.waiting();
        if let Some(number) = is.number {
            waiting.by_age.remove(&number);
        }
        if self.must_go.is_cancelled() {
            return;
        }
        is.number = Some(waiting.add(self.must_go.clone()));
    }

    /// Whether an answer may still be on its way to him.
    pub(super) fn was_answered(&self) -> bool {
        self.is().was_answered
    }

    fn is(&self) -> MutexGuard<'_, Is> {
        self.is.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let number = self.is().number;
        if let Some(number) = number {
            self.seats.waiting().by_age.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt;

    use super::*;

    fn somebody() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }

    fn gone(guest: &Guest) -> bool {
        guest.must_go.is_cancelled()
    }

    async fn full(count: usize) -> (Arc<Seats>, Vec<Guest>) {
        let seats = Seats::new(count);
        let mut guests = Vec::new();
        for _ in 0..count {
            guests.push(seats.take(somebody()).await.expect("there are seats"));
        }
        (seats, guests)
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_makes_room() {
        let (seats, mut guests) = full(3).await;
        assert!(guests[0].has_asked());
        guests[0].is_answered();
        let mut comes = pin!(seats.take(somebody()));
        assert!(comes.as_mut().now_or_never().is_none());
        assert!(!guests.iter().any(gone), "they have just come");
        tokio::time::advance(PATIENCE).await;
        assert!(comes.as_mut().now_or_never().is_none(), "nobody has left yet");
        let told: Vec<bool> = guests.iter().map(gone).collect();
        assert_eq!(told, [false, true, false], "the first one was answered since");
        assert!(!guests[1].has_asked(), "what he asks now is too late");
        guests.remove(1);
        assert!(comes.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_goes_to_another_who_waits_is_made_up_for() {
        let (seats, guests) = full(2).await;
        let (mut first, mut second) = (pin!(seats.take(somebody())), pin!(seats.take(somebody())));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        tokio::time::advance(PATIENCE).await;
        // The second sends somebody away, and the first gets his seat.
        assert!(second.as_mut().now_or_never().is_none());
        let mut guests = guests.into_iter();
        drop(guests.next().filter(gone).expect("the oldest is gone"));
        let _seated = first.as_mut().now_or_never().flatten().expect("there is a seat");
        let left = guests.next().expect("there is one");
        tokio::time::advance(PATIENCE).await;
        assert!(second.as_mut().now_or_never().is_none());
        assert!(gone(&left));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_sent_away_whose_request_is_handled() {
        let (seats, guests) = full(2).await;
        assert!(guests.iter().all(Guest::has_asked));
        let mut comes = pin!(seats.take(somebody()));
        assert!(comes.as_mut().now_or_never().is_none());
        tokio::time::advance(PATIENCE).await;
        assert!(comes.as_mut().now_or_never().is_none());
        assert!(!guests.iter().any(gone));
        guests[1].is_answered();
        assert!(comes.as_mut().now_or_never().is_none());
        tokio::time::advance(PATIENCE).await;
        assert!(comes.as_mut().now_or_never().is_none());
        assert!(gone(&guests[1]), "he has said nothing since his answer");
        drop(guests);
        assert!(comes.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_becomes_free_costs_nobody_his() {
        let (seats, mut guests) = full(2).await;
        assert!(guests.iter().all(Guest::has_asked));
        let mut comes = pin!(seats.take(somebody()));
        assert!(comes.as_mut().now_or_never().is_none());
        guests.pop();
        assert!(comes.await.is_some());
        guests[0].is_answered();
        tokio::time::advance(PATIENCE).await;
        assert!(!gone(&guests[0]));
    }
}
