//! The rules: what a syntactically correct file must also satisfy. All problems are reported, not only the first.

use std::collections::HashMap;
use std::collections::btree_map::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::line_of;
use super::limits::{Limit, Limits, parse_bytes, parse_latency};
use super::{Board, BoardType, Campaign, Config, ConfigError, Daemon, Link, Objective, Problem, Window, raw};

/// Collects problems; every rule gets one.
struct Checker<'a> {
    text: &'a str,
    base: PathBuf,
    problems: Vec<Problem>,
}

pub(super) fn file(raw: raw::File, text: &str, path: &Path) -> Result<Config, ConfigError> {
    let base = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut check = Checker { text, base, problems: Vec::new() };
    let daemon = check.daemon(raw.daemon);
    let types = check.board_types(raw.board_type);
    let boards = check.boards(raw.board, &types);
    let campaigns = raw.campaign.into_iter().filter_map(|(name, c)| check.campaign(name, c, &types)).collect();
    if !check.problems.is_empty() {
        check.problems.sort_by_key(|p| p.line);
        return Err(ConfigError::Invalid { path: path.to_owned(), problems: check.problems });
    }
    let mut config =
        Config { path: path.to_owned(), daemon, boards, board_types: types.into_values().collect(), campaigns };
    forget_unused_types(&mut config);
    Ok(config)
}

fn forget_unused_types(config: &mut Config) {
    let used = |name: &String| {
        config.boards.iter().any(|b| b.board_type == *name)
            || config.campaigns.iter().any(|c| c.board_types.contains(name))
    };
    let keep: Vec<_> = config.board_types.iter().filter(|t| used(&t.name)).cloned().collect();
    config.board_types = keep;
}

impl Checker<'_> {
    fn complain(&mut self, span: Range<usize>, reason: impl Into<String>) {
        self.problems.push(Problem { line: line_of(self.text, span), reason: reason.into() });
    }

    /// The value, or `None` after noting what is wrong with it.
    fn accept<T>(&mut self, span: Range<usize>, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.complain(span, reason)).ok()
    }

    fn path(&self, text: Option<String>, default: &str) -> PathBuf {
        self.base.join(text.as_deref().unwrap_or(default))
    }

    fn daemon(&mut self, raw: raw::Daemon) -> Daemon {
        let default = ([127, 0, 0, 1], 8420).into();
        let listen = raw.listen.and_then(|l| {
            let parsed = l.get_ref().parse().map_err(|_| format!("`{}` is not ADDRESS:PORT", l.get_ref()));
            self.accept(l.span(), parsed)
        });
        Daemon {
            listen: listen.unwrap_or(default),
            database: self.path(raw.database, ".bitrack/hil.sqlite"),
            cache: self.path(raw.cache, ".bitrack/cache"),
            log: self.path(raw.log, ".bitrack/hil.log"),
            firmware: self.path(raw.firmware, "target/firmware"),
        }
    }

    fn board_types(&mut self, raw: BTreeMap<Spanned<String>, raw::BoardType>) -> BTreeMap<String, BoardType> {
        let builtin = BoardType::builtin_names().into_iter().filter_map(BoardType::builtin);
        let mut types: BTreeMap<_, _> = builtin.map(|t| (t.name.clone(), t)).collect();
        for (name, table) in raw {
            let (span, name) = (name.span(), name.into_inner());
            let parsed = BoardType::from_raw(&name, table, &self.base);
            if let Some(board_type) = self.accept(span, parsed) {
                types.insert(name, board_type);
            }
        }
        types
    }

    fn boards(&mut self, raw: Vec<Spanned<raw::Board>>, types: &BTreeMap<String, BoardType>) -> Vec<Board> {
        if raw.is_empty() {
            self.complain(0..0, "the rack is empty; add a [[board]], for instance one with `virtual = true`");
        }
        // What a board claims for itself, and by whom it is taken.
        let mut taken: HashMap<String, String> = HashMap::new();
        raw.into_iter().filter_map(|board| self.board(board, types, &mut taken)).collect()
    }

    fn board(
        &mut self,
        raw: Spanned<raw::Board>,
        types: &BTreeMap<String, BoardType>,
        taken: &mut HashMap<String, String>,
    ) -> Option<Board> {
        let (span, raw) = (raw.span(), raw.into_inner());
        let name = self.name(&raw.name)?;
        let board_type = self.known_type(&raw.board_type, types)?;
        self.claim(raw.name.span(), "name", &name, &name, taken);
        let link = match (raw.r#virtual, raw.probe, raw.serial) {
            (true, None, None) => self.virtual_link(raw.board_type.span(), board_type)?,
            (false, Some(probe), Some(serial)) => self.wired_link(&name, probe, serial, taken)?,
            (true, ..) => {
                self.complain(span, format!("board {name} is virtual: the daemon chooses its probe and serial port"));
                return None;
            }
            (false, ..) => {
                self.complain(span, format!("board {name} needs `probe` and `serial`, or `virtual = true`"));
                return None;
            }
        };
        Some(Board { name, board_type: board_type.name.clone(), chip_id: raw.chip_id, link })
    }

    fn virtual_link(&mut self, span: Range<usize>, board_type: &BoardType) -> Option<Link> {
        if board_type.machine.is_none() {
            self.complain(span, format!("board type {} cannot be virtual: it has no `machine`", board_type.name));
            return None;
        }
        Some(Link::Virtual)
    }

    fn wired_link(
        &mut self,
        name: &str,
        probe: Spanned<String>,
        serial: Spanned<String>,
        taken: &mut HashMap<String, String>,
    ) -> Option<Link> {
        let selector: super::Probe = self.accept(probe.span(), probe.get_ref().parse())?;
        let port = self.base.join(serial.get_ref());
        self.claim(probe.span(), "probe", &selector.to_string().to_ascii_lowercase(), name, taken);
        // Two names of one port (by-id, ttyACM0) are one port.
        let real = port.canonicalize().unwrap_or_else(|_| port.clone());
        self.claim(serial.span(), "serial port", &real.display().to_string(), name, taken);
        Some(Link::Wired { probe: selector, serial: port })
    }

    fn claim(&mut self, span: Range<usize>, kind: &str, what: &str, who: &str, taken: &mut HashMap<String, String>) {
        if let Some(other) = taken.insert(format!("{kind} {what}"), who.to_owned()) {
            self.complain(span, format!("{kind} {what} already belongs to board {other}"));
        }
    }

    fn name(&mut self, name: &Spanned<String>) -> Option<String> {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let text = name.get_ref();
        // A name of digits only could not be told from an id.
        let good = !text.is_empty() && text.chars().all(ok) && !text.chars().all(|c| c.is_ascii_digit());
        let reason = format!("`{text}` is not a name; use letters, digits, - and _, and not only digits");
        self.accept(name.span(), good.then(|| text.clone()).ok_or(reason))
    }

    fn known_type<'t>(
        &mut self,
        name: &Spanned<String>,
        types: &'t BTreeMap<String, BoardType>,
    ) -> Option<&'t BoardType> {
        let known: Vec<_> = types.keys().map(String::as_str).collect();
        let reason = format!("`{}` is not a board type; known: {}", name.get_ref(), known.join(", "));
        self.accept(name.span(), types.get(name.get_ref()).ok_or(reason))
    }

    fn campaign(
        &mut self,
        name: Spanned<String>,
        raw: raw::Campaign,
        types: &BTreeMap<String, BoardType>,
    ) -> Option<Campaign> {
        let name_text = self.name(&name)?;
        let board_types = self.campaign_types(&raw.board_types, types)?;
        let limits = self.limits(&raw.limits, &board_types);
        let window = self.window(&raw);
        let (objective, strategy) = self.objective(&raw);
        if *raw.budget.get_ref() == 0 {
            self.complain(raw.budget.span(), "a budget of 0 measurements searches nothing");
        }
        let repeats = raw.repeats.map_or(3, |r| {
            let possible = (1..=100).contains(r.get_ref());
            if !possible {
                self.complain(r.span(), "use 1 to 100 repeats");
            }
            r.into_inner()
        });
        Some(Campaign {
            name: name_text,
            model: self.base.join(raw.model),
            data: data_set(&self.base, &raw.data),
            strategy,
            objective,
            seed: raw.seed.unwrap_or(1),
            budget: raw.budget.into_inner(),
            board_types: board_types.iter().map(|t| t.name.clone()).collect(),
            limits,
            window,
            warmup: raw.warmup.unwrap_or(1),
            repeats,
            options: options(raw.agent),
        })
    }

    /// What the campaign is after, and what shall propose for it.
    fn objective(&mut self, raw: &raw::Campaign) -> (Objective, String) {
        let asked = raw.objective.as_ref().map(|o| self.accept(o.span(), Objective::from_name(o.get_ref())));
        let objective = asked.flatten().unwrap_or_default();
        let Some(strategy) = &raw.strategy else { return (objective, objective.usual_strategy().into()) };
        self.accept(strategy.span(), objective.check(strategy.get_ref()));
        (objective, strategy.get_ref().clone())
    }

    fn campaign_types<'t>(
        &mut self,
        names: &Spanned<Vec<Spanned<String>>>,
        types: &'t BTreeMap<String, BoardType>,
    ) -> Option<Vec<&'t BoardType>> {
        let found: Vec<_> = names.get_ref().iter().filter_map(|n| self.known_type(n, types)).collect();
        if found.is_empty() {
            self.complain(names.span(), "a campaign needs at least one board type");
            return None;
        }
        if found.iter().any(|t| t.unit != found[0].unit || t.clock_hz != found[0].clock_hz) {
            let reason =
                "these board types differ in clock or unit, so their latencies do not compare; use one campaign each";
            self.complain(names.span(), reason);
            return None;
        }
        Some(found)
    }

    fn limits(&mut self, raw: &raw::Limits, board_types: &[&BoardType]) -> Limits {
        let latency = raw.latency.as_ref().and_then(|text| {
            let parsed = parse_latency(text.get_ref()).and_then(|l| l.for_board_type(board_types[0]));
            self.accept(text.span(), parsed)
        });
        Limits {
            flash: self.size_limit(raw.flash.as_ref(), "flash slot", board_types, BoardType::slot_bytes),
            ram: self.size_limit(raw.ram.as_ref(), "arena", board_types, |t| t.arena),
            latency,
        }
    }

    /// A limit above what the board has would let candidates through that cannot run.
    fn size_limit(
        &mut self,
        text: Option<&Spanned<String>>,
        what: &str,
        board_types: &[&BoardType],
        has: fn(&BoardType) -> u32,
    ) -> Option<Limit> {
        let text = text?;
        let limit = self.accept(text.span(), parse_bytes(text.get_ref()))?;
        let smallest = board_types.iter().min_by_key(|t| has(t))?;
        match limit {
            Limit::Absolute(bytes) if bytes > u64::from(has(smallest)) => {
                let reason =
                    format!("{bytes} bytes is more than the {what} of {} ({} bytes)", smallest.name, has(smallest));
                self.complain(text.span(), reason);
                None
            }
            limit => Some(limit),
        }
    }

    fn window(&mut self, raw: &raw::Campaign) -> Option<Window> {
        let text =
            |s: &Option<Spanned<String>>, default: &str| s.as_ref().map_or(default.to_owned(), |s| s.get_ref().clone());
        let Some(hours) = &raw.window else {
            let stray = raw.days.as_ref().or(raw.time_zone.as_ref());
            if let Some(stray) = stray {
                self.complain(stray.span(), "`days` and `time-zone` mean nothing without `window`");
            }
            return None;
        };
        let window = Window::new(hours.get_ref(), &text(&raw.days, "mon-sun"), &text(&raw.time_zone, "UTC"));
        self.accept(hours.span(), window)
    }
}

/// A data set as the agent understands it anywhere: `npz:FILE[,FILE]` and folders with absolute paths, names as they are.
fn data_set(base: &Path, text: &str) -> String {
    let absolute = |path: &str| base.join(path).display().to_string();
    match text.strip_prefix("npz:") {
        Some(files) => format!("npz:{}", files.split(',').map(absolute).collect::<Vec<_>>().join(",")),
        None if text.contains('/') || base.join(text).exists() => absolute(text),
        None => text.to_owned(),
    }
}

/// TOML as JSON: what the agent gets.
fn options(table: Option<toml::Table>) -> serde_json::Value {
    serde_json::to_value(table.unwrap_or_default()).expect("a TOML table has string keys, so it is a JSON object")
}
