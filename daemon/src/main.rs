//! `hil`: see `hil --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hil::cli::main()
}
