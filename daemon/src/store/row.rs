//! Small helpers to move values between rows and types.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A JSON column.
pub fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| conversion(Type::Text, e))
}

/// A JSON column that may be NULL.
pub fn json_opt<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|t| serde_json::from_str(&t).map_err(|e| conversion(Type::Text, e))).transpose()
}

/// A column that holds the name of an enum's variant, as serde writes it.
pub fn word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(text.into()).map_err(|e| conversion(Type::Text, e))
}

/// The name of an enum's variant, as serde writes it.
pub fn to_word<T: Serialize>(value: T) -> String {
    let word = serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned));
    word.expect("only enums without fields are stored as words")
}

/// A checksum column as people write checksums.
pub fn crc_hex(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<String>> {
    Ok(row.get::<_, Option<u32>>(column)?.map(|crc| format!("{crc:08x}")))
}

fn conversion(kind: Type, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}
