//! The request budget: what all accounts together may ask of Oura in five minutes, spread over time, the most urgent first.
//!
//! It is a GCRA, the leaky bucket that is one instant. The crate `governor` has one too, but whoever waits there has no rank and no
//! place, cannot be paused, and gets nothing back for a request that was never made; around that little arithmetic nothing of it
//! would be left.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{sync::Notify, time::Instant};
use tracing::warn;

use super::ApiError;
use crate::{clock::Clock, status::ApiStats};

/// What may be asked in five minutes unless somebody says otherwise: below Oura's 5,000, so that a person's other programs
/// have some left.
pub const USUAL_BUDGET: u32 = 4000;
/// The window in which Oura counts.
const WINDOW: Duration = Duration::from_secs(300);
/// The part of the budget that may be asked at once after a pause: the first polls of a household.
const BURST_PART: u32 = 40;
/// However small the budget, one account's first polls come at once, if that leaves half of it.
const LEAST_BURST: u32 = 30;
/// How many turns are under way at most, with their requests and answers in memory. Of the usual budget there are fewer even
/// while no request at all is answered, as each of them then takes three and a minute and a half.
pub(super) const MOST_UNDER_WAY: usize = 512;
/// Needs are added up in millionths of a request, since sums of fractions would drift.
const MILLIONTHS: f64 = 1e6;

/// What all accounts together may ask.
pub(super) struct Budget {
    clock: Clock,
    stats: ApiStats,
    /// How many requests may come at once.
    burst: u32,
    /// The time that each request takes up.
    spacing: Duration,
    state: Mutex<State>,
}

struct State {
    /// When all that was asked will have had its time; the burst allows requests before it.
    free_at: Instant,
    paused: Option<Pause>,
    /// Who waits, the most urgent first.
    queue: BTreeMap<Place, Arc<Notify>>,
    /// How many have ever waited.
    waited: u64,
    /// How many turns are under way.
    under_way: usize,
    /// What the accounts need in five minutes, in millionths of a request.
    needs: [u64; 2],
}

/// A wait by the monotonic clock, which nobody sets, and by the wall clock, which people read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) opens: Instant,
    pub(super) until: DateTime<Utc>,
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It belongs to what is under way, which would run out of time.
    UnderWay,
    /// It begins something that is due then.
    Due(Instant),
}

/// A place in the queue: by rank, then whoever came first.
type Place = (Rank, u64);

/// What may be done by whoever waits.
enum Chance {
    /// The request was counted and may be made.
    Taken,
    /// Nobody is before; look again then.
    At(Instant),
    /// Somebody is before.
    Later,
    /// Oura has asked the application to pause.
    Paused(Pause),
}

/// By how much intervals are longer than they should be, so that all accounts fit into the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// What should be as fresh as can be.
    pub fresh: f64,
    /// All else.
    pub usual: f64,
}

/// What one account needs of the budget, until it is dropped.
pub struct Need {
    budget: Arc<Budget>,
    needs: [u64; 2],
}

/// Leaves the queue when it is dropped, and lets whoever is first then know.
struct Waiting<'a> {
    budget: &'a Budget,
    place: Place,
    turn: Arc<Notify>,
}

impl Budget {
    /// So many requests in five minutes by `clock`.
    pub(super) fn new(most: u32, clock: Clock, stats: ApiStats) -> Self {
        let most = most.max(2);
        stats.request_budget(most);
        let burst = (most / BURST_PART).max(LEAST_BURST).min(most / 2);
        let state = State {
            free_at: clock.instant(),
            paused: None,
            queue: BTreeMap::new(),
            waited: 0,
            under_way: 0,
            needs: [0; 2],
        };
        // In any five minutes: the burst, and what the spacing gives.
        let spacing = WINDOW / (most - burst);
        Self { clock, stats, burst, spacing, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of that rank may be made, and counts it. What is under way does not wait for a pause to end.
    ///
    /// # Errors
    /// `RateLimited` while Oura has asked the application to pause.
    pub(super) async fn take(&self, rank: Rank) -> Result<(), ApiError> {
        self.pass(rank, false).await
    }

    async fn pass(&self, rank: Rank, is_turn: bool) -> Result<(), ApiError> {
        let waiting = self.queue_up(rank);
        loop {
            match self.chance(waiting.place, is_turn) {
                Chance::Taken => return Ok(()),
                Chance::Paused(Pause { until, .. }) => return Err(ApiError::RateLimited { until }),
                Chance::Later => waiting.turn.notified().await,
                Chance::At(at) => tokio::select! {
                    () = self.clock.sleep_until(at) => {}
                    () = waiting.turn.notified() => {}
                },
            }
        }
    }

    /// Waits until a turn that was due then may begin, and counts its first request, and the turn until its [`Self::end`].
    ///
    /// # Errors
    /// Those of [`Self::take`].
    pub(super) async fn begin(&self, due: Instant) -> Result<(), ApiError> {
        self.pass(Rank::Due(due), true).await
    }

    /// A turn that has begun has ended: another one has its place.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.tell_first();
    }

    fn queue_up(&self, rank: Rank) -> Waiting<'_> {
        let (mut state, turn) = (self.state(), Arc::new(Notify::new()));
        state.waited += 1;
        let place = (rank, state.waited);
        state.queue.insert(place, Arc::clone(&turn));
        Waiting { budget: self, place, turn }
    }

    fn chance(&self, place: Place, is_turn: bool) -> Chance {
        let (mut state, now) = (self.state(), self.clock.instant());
        let paused = state.paused.filter(|pause| pause.opens > now);
        if let Some(pause) = paused.filter(|_| place.0 == Rank::UnderWay) {
            return Chance::Paused(pause);
        }
        let is_full = state.under_way >= MOST_UNDER_WAY && place.0 != Rank::UnderWay;
        if is_full || state.queue.keys().next() != Some(&place) {
            return Chance::Later;
        }
        let earliest =
            state.free_at.checked_sub(self.ahead()).unwrap_or(now).max(paused.map_or(now, |pause| pause.opens));
        if earliest > now {
            return Chance::At(earliest);
        }
        state.free_at = state.free_at.max(now) + self.spacing;
        // At once: whoever is next is told before anything else is done here.
        state.under_way += usize::from(is_turn);
        Chance::Taken
    }

    /// How far ahead of its time a request may come.
    fn ahead(&self) -> Duration {
        self.spacing * (self.burst - 1)
    }

    /// Counts a request that cannot wait.
    pub(super) fn spend(&self) {
        let (mut state, now) = (self.state(), self.clock.instant());
        state.free_at = state.free_at.max(now) + self.spacing;
    }

    /// Gives back requests that were not made after all.
    pub(super) fn give_back(&self, requests: u32) {
        let mut state = self.state();
        state.free_at = state.free_at.checked_sub(self.spacing * requests).unwrap_or(state.free_at);
    }

    /// Lets nobody ask until then, or longer if that was said before; afterwards requests are spaced from the first one on.
    pub(super) fn pause(&self, pause: Pause) -> Pause {
        let (mut state, now) = (self.state(), self.clock.instant());
        if let Some(before) = state.paused.filter(|before| before.opens >= pause.opens) {
            return before;
        }
        if state.paused.is_none_or(|before| before.opens <= now) {
            let until = pause.until.format("%Y-%m-%d %H:%M:%S UTC");
            warn!(
                "Oura has asked the whole application to pause until {until}, so all accounts wait; if it happens again, \
                 lower OURA_REQUEST_BUDGET, or share it out among the programs that use the application"
            );
        }
        state.paused = Some(pause);
        state.free_at = state.free_at.max(pause.opens + self.ahead());
        for (_, turn) in state.queue.iter().take_while(|((rank, _), _)| *rank == Rank::UnderWay) {
            turn.notify_one();
        }
        pause
    }

    /// Until when Oura last asked the application to pause.
    pub(super) fn paused(&self) -> Option<Pause> {
        self.state().paused
    }

    /// The need of one more account.
    pub(super) fn need(self: &Arc<Self>) -> Need {
        self.stats.accounts(1);
        Need { budget: Arc::clone(self), needs: [0; 2] }
    }

    /// What the budget gives in five minutes, on and on.
    fn given(&self) -> f64 {
        WINDOW.as_secs_f64() / self.spacing.as_secs_f64()
    }

    fn stretch(&self) -> Stretch {
        let [fresh, usual] = self.state().needs.map(|need| need as f64 / MILLIONTHS);
        Stretch::of(fresh, usual, self.given())
    }

    /// Counts an account's needs in place of those `before`.
    fn replace(&self, before: [u64; 2], needs: [u64; 2]) {
        let mut state = self.state();
        for ((sum, before), need) in state.needs.iter_mut().zip(before).zip(needs) {
            *sum = *sum - before + need;
        }
        let all: u64 = state.needs.iter().sum();
        self.stats.budget_ratio(all as f64 / MILLIONTHS / self.given());
    }
}

impl State {
    fn tell_first(&self) {
        if let Some((_, first)) = self.queue.first_key_value() {
            first.notify_one();
        }
    }
}

impl Stretch {
    /// Where nothing need be longer.
    pub const NONE: Self = Self { fresh: 1.0, usual: 1.0 };

    /// So that what is `fresh` and what is `usual` fit into what is given. What is fresh gives way only where it is more than half
    /// of what is given and more than its part, so that nobody is starved.
    pub(super) fn of(fresh: f64, usual: f64, given: f64) -> Self {
        let all = fresh + usual;
        if all <= given {
            return Self::NONE;
        }
        let for_fresh = fresh.min((given / 2.0).max(given * fresh / all)).max(f64::MIN_POSITIVE);
        let for_usual = (given - for_fresh).max(f64::MIN_POSITIVE);
        Self { fresh: (fresh / for_fresh).max(1.0), usual: (usual / for_usual).max(1.0) }
    }
}

impl Need {
    /// The account needs so many requests in five minutes at its own intervals.
    pub fn set(&mut self, fresh: f64, usual: f64) {
        let needs = [fresh, usual].map(|need| (need * MILLIONTHS) as u64);
        if needs == self.needs {
            return;
        }
        self.budget.replace(std::mem::replace(&mut self.needs, needs), needs);
    }

    /// By how much intervals are to be longer now.
    pub fn stretch(&self) -> Stretch {
        self.budget.stretch()
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        self.budget.stats.accounts(-1);
        self.budget.replace(self.needs, [0; 2]);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.queue.remove(&self.place);
        state.tell_first();
    }
}
