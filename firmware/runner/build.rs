//! Gives each board's binary its own memory map.

const BOARDS: [&str; 4] = ["mps2-an386", "mps2-an500", "nucleo-l4r5zi", "nucleo-h743zi"];

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rerun-if-changed=boards");
    for board in BOARDS {
        // cortex-m-rt's link.x includes memory.x from wherever the linker finds it first.
        println!("cargo:rustc-link-arg-bin={board}=-L{root}/boards/{board}");
        println!("cargo:rustc-link-arg-bin={board}=-Tlink.x");
        println!("cargo:rustc-link-arg-bin={board}=--nmagic");
    }
}
