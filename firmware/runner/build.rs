//! Gives each board's binary its own memory map, and the runner the images that it is bound to.

use std::path::Path;
use std::{env, fs};

const BOARDS: [&str; 4] = ["mps2-an386", "mps2-an500", "nucleo-l4r5zi", "nucleo-h743zi"];

/// Which images `cargo xtask firmware --for` checked: for each its id and its body's checksum, as `1a2b3c4d-5e6f7081`, between spaces.
const KNOWN: &str = "BITRACK_KNOWN";

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed=boards");
    for board in BOARDS {
        // cortex-m-rt's link.x includes memory.x from wherever the linker finds it first.
        println!("cargo:rustc-link-arg-bin={board}=-L{root}/boards/{board}");
        println!("cargo:rustc-link-arg-bin={board}=-Tlink.x");
        println!("cargo:rustc-link-arg-bin={board}=--nmagic");
    }
    println!("cargo:rerun-if-env-changed={KNOWN}");
    let images = env::var(KNOWN).unwrap_or_default();
    let known: String = images.split_whitespace().map(known).collect();
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("known.rs"), format!("[{known}]")).expect("the build's folder can be written");
}

/// An image as Rust.
fn known(image: &str) -> String {
    let (id, body_crc) = image.split_once('-').expect("an image is named by two checksums");
    format!("Known {{ id: 0x{id}, body_crc: 0x{body_crc} }},")
}
