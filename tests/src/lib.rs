//! What the end-to-end tests share: a lab with a daemon and virtual boards, and a browser. The tests themselves are in
//! `tests/tests`.
//!
//! Knows the programs only from outside: their command lines, the HTTP API, the database, the page.

pub mod bare_board;
pub mod browser;
pub mod lab;
pub mod networks;
pub mod singles;
pub mod tiny;
pub mod wired;
