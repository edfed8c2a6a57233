//! Tables as a compiled rule holds them: only the columns that it takes, and rows that may change while records are processed.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use super::{Cell, Table};
use crate::{context::Context, error::Fallible, json, value::Value};

/// Bytes of the object of one row.
const ROW_BYTES_MAX: usize = 1 << 20;

/// What the allocator and the map need beside the bytes of a text, about.
const TEXT_OVERHEAD: usize = 16;
const ROW_OVERHEAD: usize = 48;

/// The columns of one row that a rule takes.
#[derive(Debug, Clone)]
pub struct TableRow {
    cells: Box<[Option<Cell>]>,
}

/// Rows by their key.
#[derive(Debug, Default)]
pub struct TableRows {
    rows: HashMap<Box<str>, TableRow>,
    bytes: usize,
}

/// A table of a compiled rule. It may be changed by one thread while others apply the rule: a lookup sees a row as it was before
/// a change or as it is behind it, and holds up nobody between two records.
#[derive(Debug)]
pub struct SharedTable {
    columns: Vec<Box<str>>,
    rows: RwLock<TableRows>,
}

impl TableRow {
    fn bytes(&self) -> usize {
        let texts = self.cells.iter().flatten().map(|cell| cell.text().len() + TEXT_OVERHEAD);
        size_of_val(&*self.cells) + texts.sum::<usize>()
    }
}

impl TableRows {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets the row of a key.
    pub fn set(&mut self, key: &str, row: TableRow) {
        self.remove(key);
        self.bytes += bytes_of(key, &row);
        self.rows.insert(key.into(), row);
    }

    /// Removes the row of a key.
    pub fn remove(&mut self, key: &str) {
        if let Some(row) = self.rows.remove(key) {
            self.bytes -= bytes_of(key, &row);
        }
    }
}

fn bytes_of(key: &str, row: &TableRow) -> usize {
    key.len() + row.bytes() + ROW_OVERHEAD
}

impl SharedTable {
    /// The `columns` of a table.
    pub(crate) fn of(table: &Table, columns: Vec<Box<str>>) -> Self {
        let mut rows = TableRows::new();
        for (key, cells) in &table.rows {
            let cell = |column: &str| {
                cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.clone())
            };
            let cells = columns.iter().map(|column| cell(column)).collect();
            rows.set(key, TableRow { cells });
        }
        Self { columns, rows: RwLock::new(rows) }
    }

    /// Reads a row from a JSON object; the table is left as it is.
    ///
    /// # Errors
    /// What is wrong with the object.
    pub fn read_row(&self, object: &str) -> Result<TableRow, String> {
        if object.len() > ROW_BYTES_MAX {
            return Err(format!("it has {} bytes, more than {ROW_BYTES_MAX}", object.len()));
        }
        let bump = bumpalo::Bump::new();
        let mut memory = crate::scratch::Memory::default();
        let record = crate::Record::from_value(&[]);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let ctx = Context::new(&bump, record, now, crate::Limits::default(), &mut memory);
        let wanted = json::Wanted::These(&self.columns);
        let value = json::parse(&ctx, object, wanted).map_err(|fault| fault.cause)?;
        let Value::Map(map) = value else { return Err("it is no JSON object".to_owned()) };
        let cell = |column: &str| {
            let value = map.get(column)?;
            Some(match value {
                Value::String(text) => Ok(Cell::Text(text.into())),
                other => json::to_text(&ctx, other).map(|text| Cell::Json(text.into())),
            })
        };
        let cells = self.columns.iter().map(|column| cell(column).transpose());
        Ok(TableRow { cells: cells.collect::<Fallible<_>>().map_err(|fault| fault.cause)? })
    }

    /// Sets the row of a key.
    pub fn set(&self, key: &str, row: TableRow) {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).set(key, row);
    }

    /// Removes the row of a key.
    pub fn remove(&self, key: &str) {
        self.rows.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Puts other rows, which were read with [`Self::read_row`] of this table, in the place of all.
    pub fn replace(&self, rows: TableRows) {
        let mut held = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let former = std::mem::replace(&mut *held, rows);
        // To free a large table takes a while, during which nobody should wait.
        drop(held);
        drop(former);
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes of memory its rows take.
    pub fn bytes(&self) -> usize {
        self.read().bytes()
    }

    fn read(&self) -> RwLockReadGuard<'_, TableRows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies cells of the row of `key` into the arena, if there is such a row.
    pub(super) fn cells<'a>(
        &self,
        ctx: &Context<'a>,
        key: &str,
        columns: impl Iterator<Item = usize>,
    ) -> Fallible<Option<Vec<Option<Found<'a>>>>> {
        let held = self.read();
        let Some(row) = held.rows.get(key) else { return Ok(None) };
        let copy = |cell: &Cell| {
            let text = ctx.text(cell.text())?;
            Ok(if matches!(cell, Cell::Text(_)) { Found::Text(text) } else { Found::Json(text) })
        };
        let cells =
            columns.map(|at| row.cells.get(at).and_then(Option::as_ref).map(copy).transpose());
        cells.collect::<Fallible<Vec<_>>>().map(Some)
    }
}

/// A cell in the arena.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    Text(&'a str),
    Json(&'a str),
}
