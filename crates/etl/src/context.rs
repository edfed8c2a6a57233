//! What every step of one record shares: the arena, the record, the time, and how much work is left.

use std::cell::{Cell, RefCell};

use bumpalo::Bump;
use jiff::Timestamp;

use crate::{
    error::{ErrorCode, Fallible, Fault},
    explain::Step,
    record::Record,
    scratch::Memory,
};

/// Bounds of the work on one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the value that is read.
    pub value_bytes_max: usize,
    /// Bytes of one output value.
    pub output_bytes_max: usize,
    /// Bytes of memory for everything between.
    pub work_bytes_max: usize,
    /// Elements of the array in array mode.
    pub array_elements_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes_max: 32 << 20,
            output_bytes_max: 32 << 20,
            work_bytes_max: 512 << 20,
            array_elements_max: 100_000,
        }
    }
}

pub(crate) struct Context<'a> {
    pub(crate) bump: &'a Bump,
    pub(crate) record: Record<'a>,
    pub(crate) now: Timestamp,
    pub(crate) limits: Limits,
    pub(crate) memory: RefCell<&'a mut Memory>,
    /// What each step did, when somebody wants to know.
    pub(crate) steps: Option<RefCell<Vec<Step>>>,
    /// Index of the element of an array that is worked on.
    pub(crate) element: Cell<usize>,
    left: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        bump: &'a Bump,
        record: Record<'a>,
        now: Timestamp,
        limits: Limits,
        memory: &'a mut Memory,
    ) -> Self {
        let left = Cell::new(limits.work_bytes_max);
        Self {
            bump,
            record,
            now,
            limits,
            memory: RefCell::new(memory),
            steps: None,
            element: Cell::new(0),
            left,
        }
    }

    /// Takes `bytes` off the work that is left.
    pub(crate) fn charge(&self, bytes: usize) -> Fallible<()> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                let limit = self.limits.work_bytes_max;
                Err(Fault::new(ErrorCode::WorkLimit, format!("more than {limit} bytes of work")))
            }
        }
    }

    /// Bytes of work that are left.
    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    /// Copies `text` into the arena.
    pub(crate) fn text(&self, text: &str) -> Fallible<&'a str> {
        self.charge(text.len())?;
        Ok(self.bump.alloc_str(text))
    }

    /// Two texts and `between`, as a key of a parsed field is named.
    pub(crate) fn join(&self, left: &str, between: &str, right: &str) -> Fallible<&'a str> {
        self.charge(left.len() + between.len() + right.len())?;
        Ok(self.bump.alloc_str(&[left, between, right].concat()))
    }
}
