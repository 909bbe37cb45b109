//! What a campaign is after.

/// The objective of a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Objective {
    /// The candidate of the highest reward.
    #[default]
    Reward,
    /// The candidates that no other beats in accuracy, ticks, flash and RAM.
    Front,
}

/// Strategies that do not go for the reward alone. Profiles and finalists are no searches: they go with every objective.
const FOR_FRONTS: [&str; 3] = ["evolution", "random", "uniform"];
const NO_SEARCHES: [&str; 2] = ["profile", "finalists"];

impl Objective {
    /// From `hil.toml`'s word.
    ///
    /// # Errors
    /// In words.
    pub fn from_name(name: &str) -> Result<Self, String> {
        match name {
            "reward" => Ok(Self::Reward),
            "front" => Ok(Self::Front),
            _ => Err(format!("`{name}` is not an objective; known: reward, front")),
        }
    }

    /// Its word in `hil.toml`, the database and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Front => "front",
        }
    }

    /// What proposes where nobody says it.
    pub fn usual_strategy(self) -> &'static str {
        match self {
            Self::Reward => "ilp",
            Self::Front => "evolution",
        }
    }

    /// Refuses a strategy that would search for something else.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn check(self, strategy: &str) -> Result<(), String> {
        let fits = self == Self::Reward || FOR_FRONTS.contains(&strategy) || NO_SEARCHES.contains(&strategy);
        let reason = || {
            let able = FOR_FRONTS.join(", ");
            format!(
                "strategy `{strategy}` searches for the highest reward and cannot be asked for the front: use one of {able}, or \
                 objective = \"reward\""
            )
        };
        fits.then_some(()).ok_or_else(reason)
    }
}
