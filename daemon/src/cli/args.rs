//! The grammar of the command line. The doc comments are its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit;

/// Measures versions of neural networks on a rack of microcontroller boards, real or emulated, and finds the best one
/// that fits.
#[derive(Debug, Parser)]
#[command(name = "hil", version = crate::revision(), after_help = exit::HELP, arg_required_else_help = true)]
pub struct Cli {
    /// The rack and the campaigns [default: hil.toml here]
    #[arg(long, global = true, env = "HIL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the daemon [default: `listen` of the configuration]
    #[arg(long, global = true, env = "HIL_DAEMON", value_name = "URL")]
    pub daemon: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Own the rack: serve the page and the API, run campaigns. Ends with SIGTERM or Ctrl-C
    Daemon,
    /// Show the boards: state, who holds them, what is wrong with them
    Boards(Boards),
    /// Measure one image, or one model and policy, on one board
    Measure(Measure),
    /// Start, stop, resume, list, show or watch searches
    Campaign(Campaign),
    /// Show the best candidate of a campaign, layer by layer, or of each; of one whose objective is the front, the front
    Best(Best),
    /// Compare strategies at an equal number of measurements: best feasible reward, median and range over seeds
    Compare(Compare),
    /// Ask the database anything, in SQL that reads
    Query(Query),
    /// Say what is missing on this host, and the command that mends it
    Doctor,
}

#[derive(Debug, Args)]
pub struct Boards {
    /// Bring a quarantined board up again, after mending it
    #[arg(long, value_name = "BOARD")]
    pub recover: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Examples:
///   hil measure candidate.img --board v1
///   hil measure --model net.tflite --data kws/ --policy 4/8
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Measure {
    /// A ready flash image
    #[arg(required_unless_present = "model", conflicts_with = "model")]
    pub image: Option<PathBuf>,
    /// Measure on this board; on any free one without
    #[arg(long)]
    pub board: Option<String>,
    /// Measure on any board of this type
    #[arg(long, conflicts_with = "board")]
    pub board_type: Option<String>,
    /// A network to make an image of (with `hil-agent image`)
    #[arg(long, requires = "policy", requires = "data")]
    pub model: Option<PathBuf>,
    /// Its bits: weights/activations such as 4/8, or a JSON file with those of each tensor
    #[arg(long, requires = "model")]
    pub policy: Option<String>,
    /// Data to calibrate it with: a folder, npz:FILE or fashion-mnist
    #[arg(long, requires = "model")]
    pub data: Option<String>,
    /// Runs before the counted ones
    #[arg(long, default_value_t = 1)]
    pub warmup: u32,
    /// Counted runs
    #[arg(long, default_value_t = 3)]
    pub repeats: u32,
    /// Measure even if this image was measured before
    #[arg(long)]
    pub fresh: bool,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Campaign {
    #[command(subcommand)]
    pub command: CampaignCommand,
}

#[derive(Debug, Subcommand)]
pub enum CampaignCommand {
    /// Start a campaign of hil.toml; one that runs already is left alone
    Start {
        /// Its name in hil.toml
        name: String,
        /// What proposes, instead of what hil.toml says
        #[arg(long)]
        strategy: Option<String>,
        /// An option of the agent, over [campaign.NAME.agent]: a JSON value or plain text; tables with dots; null removes
        #[arg(long = "set", value_name = "KEY=VALUE", num_args = 1..)]
        set: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Spend measurements on what layers cost: fills the table that predicts latencies, as campaign NAME-profile
    Profile {
        /// Its name in hil.toml
        name: String,
        /// By which variants of the kernels layers are measured
        #[arg(long, value_enum, default_value_t)]
        variants: Ways,
        /// An option of the agent, as with `start`
        #[arg(long = "set", value_name = "KEY=VALUE", num_args = 1..)]
        set: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Train the best candidates of a campaign for longer and measure them again, as campaign NAME-finalists
    Finalists {
        /// A campaign that has found something
        name: String,
        /// How many, best first
        #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
        top: u32,
        /// Run it under another name
        #[arg(long = "as", value_name = "NEW")]
        r#as: Option<String>,
        /// An option of the agent, as with `start`
        #[arg(long = "set", value_name = "KEY=VALUE", num_args = 1..)]
        set: Vec<String>,
        /// Watch it until it ends
        #[arg(long)]
        watch: bool,
    },
    /// Stop a campaign; nothing is lost, `resume` goes on with the same episode
    Stop { name: String },
    /// Go on with a stopped or failed campaign
    Resume { name: String },
    /// List all campaigns
    List {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show a campaign and its candidates
    Show {
        name: String,
        /// Only the Pareto front of accuracy and ticks
        #[arg(long)]
        pareto: bool,
        /// Only the front of accuracy, ticks, flash and RAM
        #[arg(long, conflicts_with = "pareto")]
        front: bool,
        /// Only this episode, layer by layer: bits, variant of the kernel, ticks
        #[arg(long, conflicts_with_all = ["pareto", "front"])]
        episode: Option<u32>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what each variant of the kernels takes for a campaign's layers, at all bits that more than one was measured at
    Layers {
        name: String,
        /// Only this layer
        #[arg(long)]
        layer: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Watch a campaign live until it ends
    Watch { name: String },
}

/// Which of a layer's variants a profile measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Ways {
    /// Each that there is: campaigns then pick the fastest
    #[default]
    All,
    /// The one that campaigns pick now
    Picked,
}

/// What may differ from hil.toml.
#[derive(Debug, Args)]
pub struct How {
    /// Run it under another name, for instance once more after it has finished
    #[arg(long = "as", value_name = "NEW")]
    pub r#as: Option<String>,
    /// Candidates to measure, instead of what hil.toml says
    #[arg(long)]
    pub budget: Option<u32>,
    /// Seed, instead of what hil.toml says
    #[arg(long)]
    pub seed: Option<u64>,
    /// Watch it until it ends
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct Best {
    /// A campaign; every one without
    pub campaign: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Campaigns of one strategy with equal options stand together as its seeds. Baselines do not count. Works while the daemon
/// runs, and without one.
///
/// Example:
///   hil compare ddpg-1 ddpg-2 ilp-1 random-1 random-2 --svg night.svg
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Compare {
    /// Campaigns of one model, by name
    #[arg(required = true, value_name = "CAMPAIGN")]
    pub campaigns: Vec<String>,
    /// Draw the curves into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Works while the daemon runs, and without one. Views to begin with: candidates, best, pareto, front, layer_latency,
/// variant_costs, candidates_per_hour, convergence, prediction_error, rewards_recomputed.
#[derive(Debug, Args)]
pub struct Query {
    /// One SELECT
    pub sql: String,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// RFC 4180, with a header
    Csv,
    /// An array of objects
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
