//! Tables for the chain item `lookup`.

mod shared;

use std::collections::HashMap;

pub use self::shared::{SharedTable, TableRow, TableRows};

use self::shared::Found;
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
    json,
    rule::{Node, OnMissing},
    value::{Map, MapBuilder, Value, lookup},
};

/// Bytes of a table's text.
const TABLE_BYTES_MAX: usize = 256 << 20;

/// Rows by their key, each a few columns: what a rule is compiled with. It keeps the columns that it takes, as a [`SharedTable`].
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: HashMap<String, Vec<(String, Cell)>>,
}

#[derive(Debug, Clone)]
enum Cell {
    Text(Box<str>),
    /// Everything that is no text, as JSON.
    Json(Box<str>),
}

impl Cell {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
        }
    }
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Reads CSV (RFC 4180) whose first line names the columns; `key` is the column that is looked up. Of equal keys the last
    /// row stays.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_csv(text: &str, key: &str) -> Result<Self, String> {
        let mut lines = csv_rows(text)?.into_iter();
        let Some(names) = lines.next() else {
            return Err("the table has no first line with names".to_owned());
        };
        let Some(at) = names.iter().position(|name| name == key) else {
            return Err(format!("the table has no column {key:?}"));
        };
        let mut table = Self::new();
        for line in lines {
            if line.len() != names.len() {
                return Err(format!(
                    "a row has {} fields, the first line has {}",
                    line.len(),
                    names.len()
                ));
            }
            let cells = names
                .iter()
                .zip(&line)
                .map(|(name, cell)| (name.clone(), Cell::Text(cell.as_str().into())));
            table.rows.insert(line[at].clone(), cells.collect());
        }
        Ok(table)
    }

    /// Reads a JSON array of objects; `key` is the member that is looked up. Of equal keys the last row stays.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_json(text: &str, key: &str) -> Result<Self, String> {
        let node = Node::parse_json(text, TABLE_BYTES_MAX).map_err(|error| error.cause)?;
        let Some(rows) = node.as_list() else {
            return Err("the table is no JSON array".to_owned());
        };
        let mut table = Self::new();
        for (index, row) in rows.iter().enumerate() {
            let Some(name) = row.get(key).and_then(Node::as_text) else {
                return Err(format!("row {index} has no {key:?}"));
            };
            table.rows.insert(name.to_owned(), cells(row)?);
        }
        Ok(table)
    }
}

/// The members of an object.
fn cells(node: &Node) -> Result<Vec<(String, Cell)>, String> {
    let Some(members) = node.members() else { return Err("a row is no JSON object".to_owned()) };
    let cell = |(name, text, plain): (String, String, bool)| {
        (name, if plain { Cell::Json(text.into()) } else { Cell::Text(text.into()) })
    };
    Ok(members.map(cell).collect())
}

/// Fields of each line; quotes may hold delimiters and line ends.
fn csv_rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            character => field.push(character),
        }
    }
    if quoted {
        return Err("a quoted field is not closed".to_owned());
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    Ok(rows)
}

/// A compiled `lookup`.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) table: String,
    pub(crate) key: String,
    /// Members, and the columns of the table that they are taken from.
    pub(crate) fields: Vec<(String, usize)>,
    pub(crate) on_missing: OnMissing,
}

impl Lookup {
    pub(crate) fn apply<'a>(
        &'a self,
        ctx: &Context<'a>,
        tables: &HashMap<String, SharedTable>,
        document: Map<'a>,
    ) -> Fallible<Map<'a>> {
        let key = match lookup(document, &self.key) {
            None | Some(Value::Null) => None,
            Some(value) => Some(crate::convert::text_of(ctx, value)?),
        };
        let columns = self.fields.iter().map(|(_, column)| *column);
        let row = match (key, tables.get(&self.table)) {
            (Some(key), Some(table)) => table.cells(ctx, key, columns)?,
            _ => None,
        };
        if row.is_none() {
            match self.on_missing {
                OnMissing::Skip => return Ok(document),
                OnMissing::Null => {}
                OnMissing::Fail => {
                    let shown = key.map_or_else(|| "null".to_owned(), quote);
                    let cause = format!("the table {:?} has no row {shown}", self.table);
                    return Err(Fault::new(ErrorCode::LookupMissing, cause));
                }
            }
        }
        ctx.charge(size_of_val(document.entries))?;
        let mut builder = MapBuilder::from_map(document);
        for (at, (name, _)) in self.fields.iter().enumerate() {
            let value = match row.as_ref().and_then(|cells| cells[at]) {
                None => Value::Null,
                Some(Found::Text(text)) => Value::String(text),
                Some(Found::Json(text)) => json::parse(ctx, text, json::Wanted::All)?,
            };
            builder.insert(name, value);
        }
        Ok(builder.finish(ctx.bump))
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, csv_rows};

    #[test]
    fn reads_csv() {
        let rows = csv_rows("id,name\r\n1,\"a,\"\"b\"\"\nc\"\n2,\n").unwrap();
        assert_eq!(rows, [vec!["id", "name"], vec!["1", "a,\"b\"\nc"], vec!["2", ""]]);
        assert_eq!(Table::from_csv("id,name\n1,x\n1,y\n", "id").unwrap().len(), 1);
        assert!(Table::from_csv("id,name\n1\n", "id").is_err());
        assert!(Table::from_csv("", "id").is_err());
    }
}
