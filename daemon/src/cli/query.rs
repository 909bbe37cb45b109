//! `hil query`

use serde_json::{Value, json};

use super::args::Query;
use super::exit::{self, Failure};
use super::table::Table;
use crate::config::Config;
use crate::store::{self, QueryError, Rows};

/// Runs one reading statement on the database, with or without a daemon.
pub fn run(config: &Config, args: &Query) -> Result<(), Failure> {
    let rows = store::read_only(&config.daemon.database, &args.sql).map_err(failure)?;
    table(rows).print(args.format)
}

fn failure(error: QueryError) -> Failure {
    let message = error.to_string();
    match error {
        QueryError::NoDatabase(_) => Failure { code: exit::NOT_FOUND, message, help: Some("hil daemon".into()) },
        QueryError::Open { .. } => Failure::error(message),
        QueryError::Writes | QueryError::Several => Failure::usage(message),
        QueryError::Sql(_) => Failure::usage(message).help("hil query 'SELECT name, sql FROM sqlite_schema'"),
    }
}

fn table(rows: Rows) -> Table {
    Table { columns: rows.columns, rows: rows.rows.into_iter().map(|r| r.into_iter().map(cell).collect()).collect() }
}

fn cell(value: store::Value) -> Value {
    match value {
        store::Value::Null => Value::Null,
        store::Value::Integer(n) => json!(n),
        store::Value::Real(x) => json!(x),
        store::Value::Text(text) => Value::String(text),
        store::Value::Blob(bytes) => Value::String(format!("<{} bytes>", bytes.len())),
    }
}
