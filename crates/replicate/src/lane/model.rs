//! What a lane is, in plain code: one partition's mirror, record by record.
//!
//! It keeps lists where the lane keeps runs, segments and sequences. `model/tests.rs` leads both through the same random
//! history and compares them after every step. Whoever changes the lane's behaviour changes it here first.

use std::collections::VecDeque;

/// One place in the target's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The copy of the record at this source offset.
    Copy(i64),
    /// A record of somebody else.
    Foreign,
    /// A control record.
    Marker,
}

/// What the source has at consecutive places.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Source offsets of its records.
    pub(super) offsets: Vec<i64>,
    /// The source offset behind it, at least one behind the last record.
    pub(super) next: i64,
    /// Whether readers of committed data see its records.
    pub(super) is_visible: bool,
}

/// A batch that was read and is not yet known to be on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) offsets: Vec<i64>,
    /// The source offset behind it.
    next: i64,
    /// Its cuts are fixed from then on.
    was_sent: bool,
}

/// What must survive the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    /// Source offset below which everything is done.
    pub(super) done: i64,
    /// Target offset behind the last copy, unknown before the first look.
    target_next: Option<i64>,
    /// Source offset of the last copy.
    last: Option<i64>,
    /// Source offsets that may have been sent since; one that follows the last one needs no mention.
    plan: Vec<i64>,
    /// Whether anything may have been sent since.
    is_dirty: bool,
}

/// It has no producer; it sends; it waits until nothing is under way any more; it must ask the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Running,
    Settling,
    Asking,
}

/// One partition's mirror.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) state: State,
    pub(super) position: i64,
    pub(super) done: i64,
    pub(super) target_next: Option<i64>,
    pub(super) waiting: VecDeque<Pending>,
    pub(super) under_way: VecDeque<Pending>,
    unanswered: usize,
    is_proven: bool,
    pub(super) is_dirty: bool,
    /// What a former process may have sent; until the target was asked, nobody knows.
    unknown: Vec<i64>,
    last: Option<i64>,
    /// Source offset up to which the journal knows what may be sent; none before it was written for this epoch.
    known_to: Option<i64>,
    /// Records sent in the current epoch; the next sequence.
    pub(super) sequence: i64,
    /// Every copy since this process began: source offset and target offset.
    pub(super) copies: Vec<(i64, i64)>,
    /// Where this process began.
    pub(super) began: i64,
}

impl Mirror {
    /// A mirror that goes on from what was saved.
    pub(super) fn new(saved: &Saved) -> Self {
        Self {
            state: State::Idle,
            position: saved.done,
            done: saved.done,
            target_next: saved.target_next,
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
            unanswered: 0,
            is_proven: false,
            is_dirty: saved.is_dirty,
            unknown: saved.plan.clone(),
            last: saved.last,
            known_to: None,
            sequence: 0,
            copies: Vec::new(),
            began: saved.done,
        }
    }

    fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.under_way.iter().chain(&self.waiting)
    }

    /// Whether the source may be read on: a mirror that may have sent more than it knows must ask first.
    pub(super) fn wants_data(&self) -> bool {
        self.state == State::Running || !self.is_dirty || self.pending().next().is_some()
    }

    /// Takes what the source has from `position` on.
    pub(super) fn read(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            let offsets: Vec<i64> =
                piece.offsets.iter().copied().filter(|offset| *offset >= self.position).collect();
            if piece.is_visible && !offsets.is_empty() {
                self.waiting.push_back(Pending { offsets, next: piece.next, was_sent: false });
            }
            self.position = self.position.max(piece.next);
        }
        self.rest();
    }

    /// With nothing pending, everything that was read is done.
    fn rest(&mut self) {
        if self.pending().next().is_none() {
            self.done = self.done.max(self.position);
        }
    }

    /// What the journal writes now; everything planned so far may then be sent.
    pub(super) fn save(&mut self) -> Saved {
        let pending = self.pending().flat_map(|pending| pending.offsets.iter().copied());
        let plan: Vec<i64> = self.unknown.iter().copied().chain(pending).collect();
        // Before the first record there is no offset that another one could follow.
        self.known_to = plan.last().copied().or(self.last).or(Some(i64::MIN));
        let (done, target_next, last) = (self.done, self.target_next, self.last);
        Saved { done, target_next, last, plan, is_dirty: true }
    }

    /// What may be sent next: the first of an epoch alone, and none whose offset the journal could not tell.
    pub(super) fn sendable(&self) -> Option<&Pending> {
        let next = self.waiting.front()?;
        let known = next.offsets.iter().try_fold(self.known_to?, |known, offset| {
            (*offset <= known.saturating_add(1)).then_some(known.max(*offset))
        });
        let may = self.state == State::Running && (self.is_proven || self.under_way.is_empty());
        (may && known.is_some()).then_some(next)
    }

    /// The lane cuts batches as it likes: the first waiting one ends after `count` records.
    pub(super) fn cut(&mut self, count: usize) {
        if let Some(front) = self.waiting.front_mut()
            && count < front.offsets.len()
        {
            let offsets = front.offsets.split_off(count);
            let was_sent = front.was_sent;
            let next = std::mem::replace(&mut front.next, offsets[0]);
            self.waiting.insert(1, Pending { offsets, next, was_sent });
        }
    }

    /// The lane merges batches as it likes, as long as none of them was sent before: the first waiting one has `count` records.
    pub(super) fn merge(&mut self, count: usize) {
        while let Some(mut front) = self.waiting.pop_front_if(|front| front.offsets.len() < count) {
            let second = self.waiting.pop_front().expect("merged more than there is");
            assert!(!front.was_sent && !second.was_sent, "merged after it was sent: {self:?}");
            front.offsets.extend(second.offsets);
            front.next = second.next;
            self.waiting.push_front(front);
        }
    }

    /// The target refuses these records of the oldest batch under way: they are not copied.
    pub(super) fn leave_out(&mut self, offsets: &[i64]) {
        if let Some(front) = self.under_way.front_mut() {
            front.offsets.retain(|offset| !offsets.contains(offset));
        }
    }

    /// The batch goes out.
    pub(super) fn send(&mut self) {
        if let Some(mut pending) = self.waiting.pop_front() {
            pending.was_sent = true;
            self.sequence += i64::try_from(pending.offsets.len()).unwrap();
            self.known_to = self.known_to.max(pending.offsets.last().copied());
            self.under_way.push_back(pending);
            self.unanswered += 1;
        }
    }

    /// The oldest batch under way is on the target from `base` on.
    pub(super) fn acknowledge(&mut self, base: i64) {
        self.unanswered -= 1;
        self.is_proven = true;
        self.is_dirty = true;
        let pending = self.under_way.pop_front().unwrap();
        self.copied(&pending, base);
        self.rest();
    }

    fn copied(&mut self, pending: &Pending, base: i64) {
        let count = pending.offsets.len();
        self.copies.extend(pending.offsets.iter().copied().zip(base..));
        self.done = pending.next;
        self.target_next = Some(base + i64::try_from(count).unwrap());
        self.last = pending.offsets.last().copied();
    }

    /// An answer is an error, or did not come.
    pub(super) fn fail(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.state == State::Running {
            self.state = State::Settling;
            self.is_dirty = true;
        }
    }

    /// Once nothing is under way, everything unacknowledged waits again.
    pub(super) fn settle(&mut self) {
        if self.state == State::Settling && self.unanswered == 0 {
            while let Some(pending) = self.under_way.pop_back() {
                self.waiting.push_front(pending);
            }
            self.waiting.retain(|pending| !pending.offsets.is_empty());
            self.state = State::Asking;
            self.rest();
        }
    }

    /// Whether the target must be asked before anything else.
    pub(super) fn must_ask(&self) -> bool {
        match self.state {
            State::Idle => self.is_dirty || !self.waiting.is_empty(),
            State::Asking => true,
            State::Running | State::Settling => false,
        }
    }

    /// The target's log says what has arrived. `saved` is what the journal has.
    pub(super) fn look(&mut self, log: &[Slot], saved: &Saved) {
        let begin = usize::try_from(self.target_next.unwrap_or(0)).unwrap();
        // A mirror that never sent anything has nothing there: what looks like ours is not.
        let found: Vec<(i64, i64)> = (0..)
            .zip(log)
            .skip(begin)
            .filter(|_| self.is_dirty)
            .filter_map(
                |(at, slot)| if let Slot::Copy(source) = slot { Some((*source, at)) } else { None },
            )
            .collect();
        let mut known = self.last.max(saved.last).max(saved.plan.last().copied());
        for (source, _) in &found {
            let follows = known.is_some_and(|known| *source == known + 1);
            assert!(
                follows || saved.plan.contains(source),
                "sent before the journal knew: {source} {saved:?} {found:?} {:?}",
                self
            );
            known = known.max(Some(*source));
        }
        if let Some((last, _)) = found.last() {
            let (mut count, mut done) = (0, last + 1);
            let has_waited = !self.waiting.is_empty();
            while count < found.len()
                && let Some(pending) = self.waiting.pop_front()
            {
                count += pending.offsets.len();
                done = pending.next;
            }
            assert!(!has_waited || count == found.len(), "half a batch arrived");
            self.done = done;
            self.position = self.position.max(done);
            self.last = Some(*last);
        }
        self.copies.extend(&found);
        self.target_next = Some(i64::try_from(log.len()).unwrap());
        self.state = State::Running;
        self.is_proven = false;
        self.known_to = None;
        self.unknown.clear();
        self.sequence = 0;
        self.rest();
    }

    /// Where a consumer that stands at `source` must stand on the target; `None`: it has to wait.
    pub(super) fn translate(&self, source: i64) -> Option<i64> {
        match self.copies.iter().find(|(copied, _)| *copied >= source) {
            Some((_, target)) => Some(*target),
            None if source <= self.done => self.target_next,
            None => None,
        }
    }

    /// The source offset of the first copy at or behind `target`; `None`: it has to wait.
    pub(super) fn translate_back(&self, target: i64) -> Option<i64> {
        match self.copies.iter().find(|(_, copied)| *copied >= target) {
            Some((source, _)) => Some(*source),
            None if self.target_next.is_some_and(|next| target <= next) => Some(self.done),
            None => None,
        }
    }
}

mod tests;
