//! SQL from people: read-only by construction, and told so in words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("there is no database at {}: has the daemon run yet?", .0.display())]
    NoDatabase(PathBuf),
    #[error("cannot open {}: {source}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("this SQL would change the database; `hil query` only reads (only the daemon writes)")]
    Writes,
    #[error("one statement at a time, please")]
    Several,
    #[error("SQL: {0}")]
    Sql(rusqlite::Error),
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    /// Bytes of a blob; nobody wants to see them on a terminal.
    Blob(Vec<u8>),
}

/// A query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

/// Runs one reading statement on the database at `path`. Works while the daemon writes, and without a daemon.
///
/// # Errors
/// See [`QueryError`].
pub fn read_only(path: &Path, sql: &str) -> Result<Rows, QueryError> {
    if !path.exists() {
        return Err(QueryError::NoDatabase(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |source| QueryError::Open { path: path.to_owned(), source };
    let mut conn = Connection::open_with_flags(path, flags).map_err(open)?;
    conn.busy_timeout(Duration::from_secs(5)).map_err(open)?;
    conn.authorizer(Some(only_reads)).map_err(open)?;
    run(&conn, sql)
}

/// `ATTACH` would open other files, `PRAGMA x = y` and the rest would write: SQLite is told to compile none of it.
fn only_reads(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Pragma { pragma_value: None, .. } => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. } if pragma_name.starts_with("table_") => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

fn run(conn: &Connection, sql: &str) -> Result<Rows, QueryError> {
    let mut statement = conn.prepare(sql).map_err(refusal)?;
    if !statement.readonly() {
        return Err(QueryError::Writes);
    }
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let width = columns.len();
    let cells = |row: &rusqlite::Row<'_>| (0..width).map(|i| row.get_ref(i).map(cell)).collect::<Result<Vec<_>, _>>();
    let rows = statement.query_map([], cells).and_then(|rows| rows.collect());
    Ok(Rows { columns, rows: rows.map_err(refusal)? })
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    }
}

fn refusal(error: rusqlite::Error) -> QueryError {
    use rusqlite::ErrorCode::{AuthorizationForStatementDenied, ReadOnly};
    match (&error, error.sqlite_error_code()) {
        (rusqlite::Error::MultipleStatement, _) => QueryError::Several,
        (_, Some(AuthorizationForStatementDenied | ReadOnly)) => QueryError::Writes,
        _ => QueryError::Sql(error),
    }
}
