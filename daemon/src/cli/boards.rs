//! `hil boards`

use serde_json::{Value, json};

use super::args::{Boards, Format};
use super::client::Client;
use super::exit::Failure;
use super::table::Table;
use crate::types::{Board, Rack};

/// Shows the rack, or recovers one board.
pub fn run(client: &Client, args: &Boards) -> Result<(), Failure> {
    if let Some(name) = &args.recover {
        let board: Board = client.post(&format!("boards/{name}/recover"), &json!({}))?;
        println!("{}: trying again (it was {})", board.name, word(&json!(board.state)));
        return Ok(());
    }
    let rack: Rack = client.get("rack")?;
    if args.format == Format::Json {
        println!("{:#}", json!(rack.boards));
        return Ok(());
    }
    let columns = ["board", "type", "state", "holder", "firmware", "measured", "wear", "failures", "last failure"];
    let mut table = Table::new(&columns);
    table.rows = rack.boards.iter().map(row).collect();
    table.print(args.format)
}

fn row(board: &Board) -> Vec<Value> {
    let failure = board.last_failure.as_ref().map(|f| format!("{}: {}", word(&json!(f.class)), f.message));
    vec![
        json!(board.name),
        json!(format!("{}{}", board.board_type, if board.r#virtual { " (virtual)" } else { "" })),
        json!(board.state),
        json!(board.holder),
        json!(board.identity.as_ref().map(|i| &i.firmware_revision)),
        json!(board.measurements),
        json!(format!("{}/{}", board.erases_max, board.endurance)),
        json!(board.failures_in_a_row),
        json!(failure),
    ]
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
