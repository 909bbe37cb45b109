//! Writes the images of the candidates that `cargo xtask test` builds runners for, one by one, into a folder: `KWS-8-8.img` and so on.
//! Where the networks are absent it says so and writes none.

use std::path::PathBuf;
use std::process::ExitCode;

use bitrack_tests::lab::shared_data;
use bitrack_tests::singles::candidates;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bitrack-single-images FOLDER");
        return ExitCode::from(2);
    };
    let Some(shared) = shared_data("images for runners for one network") else { return ExitCode::SUCCESS };
    for candidate in candidates(&shared) {
        let file = folder.join(format!("{}.img", candidate.file_stem()));
        if let Err(error) = std::fs::write(&file, &candidate.image) {
            eprintln!("cannot write {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
