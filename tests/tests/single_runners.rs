//! Runners for one network, as `cargo xtask test` builds them: they compute what the host does, and refuse everything else by name.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bitrack_image::{HEADER_LEN, Image};
use bitrack_model::HostImage;
use bitrack_tests::bare_board::BareBoard;
use bitrack_tests::lab::{Lab, repo, shared_data};
use bitrack_tests::singles::candidates;
use bitrack_tests::tiny;
use bitrack_virtual_board::Machine;

/// How long a small campaign may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where runners lie, and the images that they are for.
fn built(file: &str) -> PathBuf {
    repo().join("target/firmware/single").join(file)
}

/// An image and the runner that is bound to it; `None` after saying so where they were not built.
fn bound(stem: &str) -> Option<(Vec<u8>, PathBuf)> {
    let (image, elf) = (built(&format!("{stem}.img")), runner(stem)?);
    match fs::read(&image) {
        Ok(image) => Some((image, elf)),
        Err(error) => {
            eprintln!("SKIPPED: {}: {error}: `cargo xtask test` writes it where the networks are", image.display());
            None
        }
    }
}

fn runner(stem: &str) -> Option<PathBuf> {
    let elf = built(&format!("{stem}.elf"));
    if elf.is_file() {
        return Some(elf);
    }
    eprintln!("SKIPPED: {} is missing: `cargo xtask test` builds it", elf.display());
    None
}

fn refusal(board: &mut BareBoard, image: &[u8]) -> String {
    board.try_load(image).expect_err("the runner is for another").to_string()
}

/// `BITRACK_BLESS=1 cargo test -p bitrack-tests --test single_runners` rewrites the list.
#[test]
fn networks_need_the_kernels_that_the_list_names() {
    let Some(shared) = shared_data("single_runners") else { return };
    let mut found = String::from("# network,bits (weights/activations),kernels\n");
    for candidate in candidates(&shared) {
        let kernels = bitrack_model::kernels(&candidate.image).expect("is valid").join(" ");
        writeln!(found, "{},{},{kernels}", candidate.network, candidate.bits).expect("a string takes all");
    }
    let path = repo().join("firmware/kernels/networks.csv");
    if std::env::var_os("BITRACK_BLESS").is_some() {
        fs::write(&path, &found).expect("the list can be written");
    }
    assert_eq!(fs::read_to_string(&path).expect("the list exists"), found, "bless it if that is right");
}

#[test]
fn runners_for_one_network_compute_what_the_host_does() {
    for network in ["KWS", "IC", "VWW", "AD"] {
        for bits in ["8-8", "4-8", "4-4", "mixed"] {
            let stem = format!("{network}-{bits}");
            let Some((image, elf)) = bound(&stem) else { return };
            let host = HostImage::new(&image).expect("valid");
            let sample: Vec<f32> =
                (0..host.input_shape().elements()).map(|i| ((i * 37 % 101) as f32 - 50.0) / 10.0).collect();
            let input = host.encode(&sample).expect("fits");
            let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
            board.load(&image);
            assert_eq!(board.run(&input).0, host.run(&input).expect("runs"), "{stem}");
        }
    }
}

#[test]
fn a_runner_for_one_image_refuses_any_other() {
    let Some(((image, elf), (other, _))) = bound("KWS-8-8").zip(bound("KWS-4-8")) else { return };
    let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
    let [known, found] = [&image, &other].map(|image| Image::parse(image).expect("valid").id());
    let said = refusal(&mut board, &other);
    assert!(said.contains(&format!("built for another image ({known:08x}, this one is {found:08x})")), "{said}");
    board.load(&image);
}

#[test]
fn a_runner_for_one_image_refuses_it_with_a_single_bit_changed() {
    let Some((mut image, elf)) = bound("KWS-4-4") else { return };
    let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
    let header = Image::parse(&image).expect("valid").header();
    let (ops, weights) = (header.ops_off as usize, header.model_len as usize - 9);
    for (at, said_of) in [
        (0, "no image at this place"),
        (20, "fails over the header"),
        (HEADER_LEN - 1, "fails over the header"),
        (HEADER_LEN + 12, "fails over the body"),
        (ops + 52, "fails over the body"),
        (weights, "fails over the body"),
        (image.len() - 1, "fails over the body"),
    ] {
        image[at] ^= 4;
        let said = refusal(&mut board, &image);
        assert!(said.contains(said_of), "byte {at}: {said}");
        image[at] ^= 4;
    }
    board.load(&image);
}

#[test]
fn a_runner_with_certain_kernels_says_which_another_network_lacks() {
    let Some(((other, _), elf)) = bound("IC-8-8").zip(runner("KWS-8-8-any")) else { return };
    let mut board = BareBoard::with_runner(Machine::Mps2An386, &elf);
    let said = refusal(&mut board, &other);
    assert!(said.contains("op ") && said.contains("the runner is built without "), "{said}");
    let Some((own, _)) = bound("KWS-8-8") else { return };
    board.load(&own);
}

/// Nothing that its search proposes can run, and no other start would change that: the campaign says so at once. When the runner is
/// mended, what failed is measured again.
#[test]
fn a_campaign_on_another_networks_runner_fails_at_once_and_is_resumed_when_that_is_mended() {
    let Some(elf) = runner("AD-8-8") else { return };
    let firmware = tempfile::tempdir().expect("a temporary folder");
    let put = |elf: PathBuf| fs::copy(elf, firmware.path().join("mps2-an386.elf")).expect("can be copied");
    put(elf);
    let mut lab = Lab::prepare_with(firmware.path(), "");
    let (model, data) = tiny::write(lab.folder());
    lab.append_config(&format!(
        "[[board]]\nname = \"v1\"\ntype = \"mps2-an386\"\nvirtual = true\n[campaign.tiny]\nmodel = \"{}\"\ndata = \"{}\"\n\
         budget = 4\nboard-types = [\"mps2-an386\"]\nstrategy = \"random\"\n\
         limits = {{ flash = \"95%\", ram = \"90%\", latency = \"100%\" }}\n",
        model.display(),
        data.display()
    ));
    lab.start_daemon();
    lab.ok(&["campaign", "start", "tiny"]);
    let failed = lab.wait_for_campaign("tiny", &["finished", "failed"], PATIENCE);
    let reason = failed["reason"].as_str().expect("it says why");
    assert_eq!(failed["state"], "failed", "{reason}");
    assert!(reason.contains("the runner was built for another image"), "{reason}");
    assert!(reason.contains("hil campaign resume tiny"), "{reason}");
    let failures = lab.query("SELECT class, what FROM failures");
    let episodes = lab.query("SELECT idx FROM candidates");
    assert!(episodes.len() <= 4, "the baselines and nothing else: {episodes:?}");
    assert!(failures.iter().all(|failure| failure["what"] == "runner" && failure["class"] == "rig"), "{failures:?}");

    put(repo().join("target/firmware/mps2-an386.elf"));
    lab.kill_daemon();
    lab.start_daemon();
    lab.ok(&["campaign", "resume", "tiny"]);
    let finished = lab.wait_for_campaign("tiny", &["finished", "failed"], PATIENCE);
    assert_eq!(finished["state"], "finished", "{finished}");
    let unmeasured = lab.query("SELECT idx, state FROM candidates WHERE state <> 'done'");
    assert!(unmeasured.is_empty(), "{unmeasured:?}");
}
