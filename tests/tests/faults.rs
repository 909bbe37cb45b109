//! Boards, probes, ports and flash that fail while the real daemon uses them. Whatever happens, it is nobody's candidate's
//! fault, it is written down with the board's name, the board comes back when it is mended, and the rest goes on.

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use bitrack_model::graph::{Activation, Graph, Op, Shape, TensorId, Window};
use bitrack_model::{
    Bits, Dataset, FloatModel, FloatWeights, LowerOptions, Policy, Quantizer, RangeMethod, Samples, Split, lower,
};
use bitrack_tests::bare_board::{flash_elf, runner_elf};
use bitrack_tests::lab::Lab;
use bitrack_tests::tiny;
use bitrack_tests::wired::WiredBoard;
use bitrack_virtual_board::Machine;
use serde_json::Value;

/// Enough for several tries of a board that has to be brought up in between, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);
const TYPE: &str = "mps2-an386";
/// Seconds after which a board that says nothing is given up: far above one inference of [`heavy_image`].
const SILENCE: &str = "\n[board-type.mps2-an386]\nrun-timeout-s = 5\n";

/// A lab with one board that is wired, not started, by the daemon.
struct Bench {
    lab: Lab,
    board: WiredBoard,
}

impl Bench {
    fn start() -> Self {
        let mut lab = Lab::prepare("");
        let board = WiredBoard::start(lab.folder(), "w1", TYPE);
        lab.append_config(&board.config(TYPE));
        lab.append_config(SILENCE);
        lab.start_daemon();
        let bench = Self { lab, board };
        bench.wait_for_state("ready");
        bench
    }

    /// Writes an image that takes long to run; its path.
    fn image(&self, seed: u64) -> String {
        let path = self.lab.folder().join(format!("heavy-{seed}.img"));
        std::fs::write(&path, heavy_image(seed)).expect("the folder is writable");
        path.display().to_string()
    }

    /// `hil measure IMAGE`, not waited for.
    fn measure(&self, image: &str, repeats: &str) -> Child {
        let args = ["measure", image, "--board", "w1", "--fresh", "--warmup", "0", "--repeats", repeats];
        let mut command = self.lab.hil(&args);
        command.arg("--format").arg("json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("hil starts")
    }

    fn state(&self) -> Option<String> {
        Some(self.lab.get("/api/rack")["boards"][0]["state"].as_str()?.to_owned())
    }

    fn wait_for_state(&self, state: &str) {
        self.lab.wait_for(state, PATIENCE, || (self.state()? == state).then_some(()));
    }

    fn failures(&self) -> Vec<Value> {
        self.lab.query("SELECT board, class, what, message FROM failures ORDER BY id")
    }

    fn wait_for_failures(&self, more_than: usize) {
        self.lab.wait_for("a failure to be noted", PATIENCE, || (self.failures().len() > more_than).then_some(()));
    }

    /// No failure may be blamed on a candidate, and each names the board.
    fn assert_boards_fault(&self) {
        for failure in self.failures() {
            assert_eq!((&failure["board"], &failure["class"]), (&"w1".into(), &"board".into()), "{failure}");
        }
    }
}

fn measured(child: Child) -> Value {
    let output = child.wait_with_output().expect("it is ours");
    assert!(output.status.success(), "hil measure: {}", errors(&output));
    let measurement: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&measurement["accepted"], &measurement["bit_exact"]), (&true.into(), &true.into()), "{measurement}");
    measurement
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_board_that_falls_silent_mid_run_is_measured_again_when_it_is_back() {
    let bench = Bench::start();
    let measuring = bench.measure(&bench.image(1), "20");
    bench.wait_for_state("running");
    bench.board.command("mute-uart on");
    bench.wait_for_failures(0);
    bench.board.command("mute-uart off");
    measured(measuring);
    bench.assert_boards_fault();
}

#[test]
fn garbage_on_the_line_mid_run_is_survived() {
    let bench = Bench::start();
    let measuring = bench.measure(&bench.image(1), "20");
    bench.wait_for_state("running");
    bench.board.command("garbage 5000");
    measured(measuring);
    bench.assert_boards_fault();
}

#[test]
fn a_core_that_dies_mid_run_is_brought_back() {
    let bench = Bench::start();
    let measuring = bench.measure(&bench.image(1), "20");
    bench.wait_for_state("running");
    bench.board.command("kill-qemu");
    measured(measuring);
    // The run may have killed it: one suspicion, which the second try, with a healthy canary, did not confirm.
    let failures = bench.failures();
    assert!(
        !failures.is_empty() && failures.iter().all(|f| f["board"] == "w1"),
        "a death is written down: {failures:?}"
    );
}

#[test]
fn an_image_damaged_in_flash_is_written_again() {
    let bench = Bench::start();
    let image = bench.image(1);
    measured(bench.measure(&image, "1"));
    let sectors = bench.lab.query("SELECT min(address) AS first FROM flash_sectors WHERE sha256 NOT NULL");
    let first = sectors[0]["first"].as_u64().expect("the image lies somewhere");
    bench.board.command(&format!("flip-flash {:#x} 4", first + 0x200));
    let again = measured(bench.measure(&image, "1"));
    assert!(again["sectors_written"].as_u64() > Some(0), "what was damaged was written again: {again}");
    bench.assert_boards_fault();
}

#[test]
fn a_runner_damaged_in_flash_is_written_again() {
    let bench = Bench::start();
    // The vector table: the core cannot even start.
    bench.board.command("flip-flash 0x4 0xFF");
    bench.board.command("flip-flash 0x5 0xFF");
    bench.board.command("reset");
    measured(bench.measure(&bench.image(1), "1"));
    bench.assert_boards_fault();
}

#[test]
fn firmware_flashed_by_hand_is_replaced_by_the_runner() {
    let mut bench = Bench::start();
    measured(bench.measure(&bench.image(1), "1"));
    bench.lab.stop_daemon();
    // The other machine's runner starts on this core too, and introduces itself as what it is.
    flash_elf(&bench.board.probe_selector(), Machine::Mps2An386, &runner_elf(Machine::Mps2An500));
    bench.lab.start_daemon();
    bench.wait_for_state("ready");
    measured(bench.measure(&bench.image(1), "1"));
}

#[test]
fn a_runner_of_another_revision_than_was_left_there_is_replaced() {
    let mut bench = Bench::start();
    bench.lab.stop_daemon();
    let erases = "SELECT erases FROM flash_sectors ORDER BY address LIMIT 1";
    let database = rusqlite::Connection::open(bench.lab.folder().join(".bitrack/hil.sqlite")).expect("it is there");
    let count = || database.query_row(erases, [], |row| row.get::<_, u32>(0)).expect("the runner's first sector");
    let before = count();
    database.execute("UPDATE boards SET firmware_revision = 'older'", []).expect("written");
    bench.lab.start_daemon();
    bench.wait_for_state("ready");
    assert_eq!(count(), before + 1, "the runner was flashed again");
    bench.lab.stop_daemon();
    bench.lab.start_daemon();
    bench.wait_for_state("ready");
    assert_eq!(count(), before + 1, "and not once more");
}

#[test]
fn a_cable_pulled_while_flashing_fails_by_name_and_works_when_it_is_back() {
    let mut bench = Bench::start();
    let measuring = bench.measure(&bench.image(2), "20");
    bench.lab.wait_for("the board to be busy", PATIENCE, || {
        ["flashing", "running"].contains(&bench.state()?.as_str()).then_some(())
    });
    bench.board.unplug();
    let output = measuring.wait_with_output().expect("it is ours");
    assert_eq!(output.status.code(), Some(6), "a board's failure: {}", errors(&output));
    assert!(errors(&output).contains("w1") || errors(&output).contains("127.0.0.1"), "{}", errors(&output));
    bench.assert_boards_fault();
    bench.wait_for_state("quarantined");
    bench.board.power_on();
    bench.lab.ok(&["boards", "--recover", "w1"]);
    bench.wait_for_state("ready");
    measured(bench.measure(&bench.image(2), "1"));
}

#[test]
fn boards_that_are_not_what_the_configuration_means_are_named_and_the_rest_goes_on() {
    let mut lab = Lab::prepare("");
    let healthy = WiredBoard::start(lab.folder(), "healthy", TYPE);
    let imposter = WiredBoard::start(lab.folder(), "imposter", "mps2-an500");
    let busy = WiredBoard::start(lab.folder(), "busy", TYPE);
    let _other_program =
        serialport::new(busy.serial().to_string_lossy(), 115_200).open().expect("nobody else has it yet");
    for (board, board_type) in [(&healthy, TYPE), (&imposter, TYPE), (&busy, TYPE)] {
        lab.append_config(&board.config(board_type));
    }
    let no_port = WiredBoard::start(lab.folder(), "no-port", TYPE);
    lab.append_config(&no_port.config(TYPE).replace(&no_port.serial().display().to_string(), "/dev/nothing"));
    lab.append_config(NO_PROBE);
    let (model, data) = tiny::write(lab.folder());
    lab.append_config(&format!(
        "\n[campaign.tiny]\nmodel = \"{}\"\ndata = \"{}\"\nbudget = 4\nboard-types = [\"{TYPE}\"]\nstrategy = \"random\"\n",
        model.display(),
        data.display()
    ));
    lab.start_daemon();
    lab.ok(&["campaign", "start", "tiny"]);
    let campaign = lab.wait_for_campaign("tiny", &["finished", "failed"], PATIENCE);
    assert_eq!((&campaign["state"], &campaign["infeasible"]), (&"finished".into(), &0.into()), "{campaign}");
    for (board, word) in
        [("imposter", "cortex-m7"), ("busy", "busy"), ("no-probe", "127.0.0.1:2"), ("no-port", "/dev/nothing")]
    {
        let said = lab.wait_for(board, PATIENCE, || last_failure(&lab, board));
        assert!(said.contains(word), "{board}: {said}");
    }
    let refused = lab.run(&["measure", "--board", "no-probe", &written_image(&lab)]);
    assert_eq!(refused.status.code(), Some(6), "{}", errors(&refused));
}

const NO_PROBE: &str = "\n[[board]]\nname = \"no-probe\"\ntype = \"mps2-an386\"\nprobe = \"1d50:6018:127.0.0.1:2\"\nserial = \"/dev/null\"\n";

fn last_failure(lab: &Lab, board: &str) -> Option<String> {
    let rack = lab.get("/api/rack");
    let board = rack["boards"].as_array()?.iter().find(|b| b["name"] == board)?.clone();
    Some(board["last_failure"]["message"].as_str()?.to_owned())
}

fn written_image(lab: &Lab) -> String {
    let path = lab.folder().join("candidate.img");
    std::fs::write(&path, heavy_image(1)).expect("the folder is writable");
    path.display().to_string()
}

/// Four convolutions of 64 to 64 channels on 24 x 24: a few hundred milliseconds of emulation per inference, and some
/// sectors of flash.
fn heavy_image(seed: u64) -> Vec<u8> {
    const CHANNELS: usize = 64;
    let shape = Shape::new(24, 24, CHANNELS);
    let mut graph = Graph::new("heavy", shape);
    let window = Window { kernel: [3, 3], stride: [1, 1], pad_before: [1, 1] };
    let mut last = TensorId(0);
    for _ in 0..4 {
        last = graph.push(Op::Conv2d { window, activation: Activation::Relu }, vec![last], shape);
    }
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let weights = (0..4).map(|_| {
        let values = (0..9 * CHANNELS * CHANNELS).map(|_| noise() * 0.05).collect();
        Some(FloatWeights { values, bias: vec![0.1; CHANNELS] })
    });
    let model = FloatModel::new(graph, weights.collect()).expect("the network is written down right");
    let samples = Samples::F32((0..shape.elements()).map(|i| (i % 13) as f32 / 13.0).collect());
    let data = Dataset::new(Split::Train, shape, samples, vec![0]).expect("one label");
    let quantizer = Quantizer::new(model, &data, RangeMethod::MinMax).expect("finite");
    let policy = Policy::uniform(quantizer.model().graph(), Bits::Eight, Bits::Eight);
    let quantized = quantizer.quantize(&policy).expect("every uniform policy quantizes");
    let options = LowerOptions { vectors: Some((&data, 1)), ..LowerOptions::default() };
    lower(&quantized, &options).expect("lowers").bytes
}
