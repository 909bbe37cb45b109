//! The format cannot drift silently: every message's bytes are written down in `golden.txt`.
//! `BITRACK_BLESS=1 cargo test -p bitrack-wire` rewrites it; a rewrite wants a new wire version.

mod support;

use std::fmt::Write;

use support::{frame_of, requests, responses};

#[test]
fn every_message_has_its_golden_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
    let found = listing();
    if std::env::var_os("BITRACK_BLESS").is_some() {
        std::fs::write(path, &found).expect("golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("golden file exists");
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden, "the wire format changed: raise WIRE_VERSION, then bless");
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

fn listing() -> String {
    let mut out = String::new();
    for (name, request) in requests() {
        writeln!(out, "> {name:12} {}", hex(&frame_of(&request, 0x0102))).expect("a string takes all");
    }
    for (name, response) in responses() {
        writeln!(out, "< {name:14} {}", hex(&frame_of(&response, 0x0102))).expect("a string takes all");
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
