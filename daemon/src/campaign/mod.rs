//! Campaigns: when they run, who proposes for them, and what of them is being measured.
//!
//! Owns the agents' processes and the windows of hours. Does not know strategies, networks or HTTP. A campaign's task
//! waits for its window, runs its agent in it, starts it again when it dies, and ends when the store says so.

mod agent;
mod hours;
mod start;
mod view;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use tracing::{Instrument, info, warn};

use crate::config::{Config, WindowState};
use crate::measuring::Measuring;
use crate::store::{CampaignEvent, Store, StoreError, StoredCampaign};
use crate::types::{self, Event, StartRequest, Training};
use agent::{Agent, Ended};
use hours::{nap, window};

/// Starts of an agent in a row, none of which brought an episode further, after which the campaign fails.
const FRUITLESS_STARTS: u32 = 5;

/// Between two looks at a store that cannot be written.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// What is known of a campaign beyond its rows.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    /// Its agent runs.
    pub running: bool,
    /// Why not.
    pub reason: Option<String>,
    /// What the agent trains, as it said last.
    pub training: Option<Training>,
}

/// How agents are started.
#[derive(Debug, Clone)]
pub struct AgentPlan {
    /// Where they find the daemon.
    pub url: String,
    /// The program; `None` looks for `hil-agent` beside this one and on `PATH`.
    pub program: Option<PathBuf>,
    /// Pause before one that died is started again; doubles with each fruitless start.
    pub first_pause: Duration,
}

impl AgentPlan {
    /// Agents as people have them.
    pub fn new(url: String) -> Self {
        Self { url, program: None, first_pause: Duration::from_secs(2) }
    }
}

struct Task {
    runtime: Runtime,
    /// Wakes the task to look at the store again.
    wake: Arc<Notify>,
    handle: JoinHandle<()>,
}

/// All campaigns of this daemon.
pub struct Campaigns {
    config: Arc<Config>,
    store: Arc<Store>,
    measuring: Measuring,
    events: broadcast::Sender<Event>,
    agents: AgentPlan,
    tasks: Mutex<HashMap<i64, Task>>,
    /// Episodes being measured now, so that asking twice measures once.
    in_flight: Mutex<HashSet<i64>>,
    shutdown: watch::Sender<bool>,
}

impl Campaigns {
    /// Nothing runs yet.
    pub fn new(
        config: Arc<Config>,
        store: Arc<Store>,
        measuring: Measuring,
        events: broadcast::Sender<Event>,
        agents: AgentPlan,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            store,
            measuring,
            events,
            agents,
            tasks: Mutex::default(),
            in_flight: Mutex::default(),
            shutdown: watch::channel(false).0,
        })
    }

    /// The configuration that campaigns are started from.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes up what an earlier daemon left active.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume_all(self: &Arc<Self>) -> Result<(), StoreError> {
        for id in self.store.read(|db| db.active_campaigns()).await? {
            info!(campaign = id, "taking up");
            self.ensure_task(id);
        }
        Ok(())
    }

    /// Creates a campaign of `hil.toml` and starts it. One that is active already is left alone.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Invalid`], or [`StoreError::Conflict`] with what to do instead.
    pub async fn start(self: &Arc<Self>, name: &str, request: StartRequest) -> Result<i64, StoreError> {
        let spec = start::spec(&self.config, name, request)?;
        let created = self.store.write(move |db| match db.campaign_id(&spec.name) {
            Err(StoreError::NotFound(_)) => start::create(db, spec),
            Ok(id) => db.campaign(id).and_then(start::already),
            Err(e) => Err(e),
        });
        let id = created.await?;
        self.ensure_task(id);
        self.announce(id).await;
        Ok(id)
    }

    /// Stops or resumes a campaign, or ends it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when that is not legal from its state.
    pub async fn change(self: &Arc<Self>, id: i64, event: CampaignEvent) -> Result<(), StoreError> {
        let resumes = event == CampaignEvent::Resume;
        self.store.write(move |db| db.campaign_event(id, &event)).await?;
        match resumes {
            true => self.ensure_task(id),
            false => self.with_task(id, |task| task.wake.notify_one()),
        }
        self.announce(id).await;
        Ok(())
    }

    /// The campaign as everybody sees it.
    ///
    /// # Errors
    /// The store's.
    pub async fn view(&self, id: i64) -> Result<types::Campaign, StoreError> {
        let stored = self.store.read(move |db| db.campaign(id)).await?;
        Ok(view::campaign(stored, self.runtime(id)))
    }

    /// All campaigns, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn views(&self) -> Result<Vec<types::Campaign>, StoreError> {
        let stored = self.store.read(|db| db.campaigns()).await?;
        Ok(stored.into_iter().map(|c| view::campaign(c.clone(), self.runtime(c.id))).collect())
    }

    /// Tells everybody how the campaign is.
    pub async fn announce(&self, id: i64) {
        match self.view(id).await {
            // Nobody listening is fine.
            Ok(view) => drop(self.events.send(Event::Campaign(Box::new(view)))),
            Err(e) => warn!("a campaign's progress could not be read: {e}"),
        }
    }

    /// Notes what the campaign's agent trains at present, if anything; whoever looks on should be told.
    pub fn set_training(&self, id: i64, training: Option<Training>) {
        self.with_task(id, |task| task.runtime.training = training);
    }

    /// Measures an episode in the background, unless that is going on.
    pub fn measure(self: &Arc<Self>, campaign: i64, episode: i64) {
        if !self.in_flight().insert(episode) {
            return;
        }
        let campaigns = self.clone();
        let work = async move {
            if let Err(e) = campaigns.measuring.measure_episode(episode).await {
                tracing::error!("the episode stays unsettled until the daemon is started again: {e}");
            }
            campaigns.in_flight().remove(&episode);
            campaigns.announce(campaign).await;
        };
        tokio::spawn(work.instrument(tracing::info_span!("episode", id = episode)));
    }

    /// Stops every agent and waits for it.
    pub async fn shut_down(&self) {
        self.shutdown.send_replace(true);
        let tasks: Vec<_> = self.lock().drain().map(|(_, task)| task.handle).collect();
        for task in tasks {
            if let Err(panic) = task.await {
                tracing::error!("a campaign's task died: {panic}");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_flight(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runtime(&self, id: i64) -> Runtime {
        self.lock().get(&id).map(|t| t.runtime.clone()).unwrap_or_default()
    }

    fn with_task(&self, id: i64, f: impl FnOnce(&mut Task)) {
        if let Some(task) = self.lock().get_mut(&id) {
            f(task);
        }
    }

    async fn set_runtime(&self, id: i64, running: bool, reason: Option<String>) {
        self.with_task(id, |task| task.runtime = Runtime { running, reason, training: None });
        self.announce(id).await;
    }

    /// Makes sure that the campaign has a living task, and that the task looks.
    fn ensure_task(self: &Arc<Self>, id: i64) {
        let mut tasks = self.lock();
        if let Some(task) = tasks.get(&id).filter(|t| !t.handle.is_finished()) {
            task.wake.notify_one();
            return;
        }
        let wake = Arc::new(Notify::new());
        let task = self.clone().run(id, wake.clone()).instrument(tracing::info_span!("campaign", campaign = id));
        tasks.insert(id, Task { runtime: Runtime::default(), wake, handle: tokio::spawn(task) });
    }

    /// A campaign's life in this daemon.
    async fn run(self: Arc<Self>, id: i64, wake: Arc<Notify>) {
        let mut shutdown = self.shutdown.subscribe();
        let mut fruitless = 0;
        while !*shutdown.borrow() {
            let campaign = match self.store.read(move |db| db.campaign(id)).await {
                Ok(campaign) if campaign.state == "active" => campaign,
                Ok(_) => return,
                Err(e) => return tracing::error!("campaign cannot be read: {e}"),
            };
            let window = window(&campaign);
            if !window.open {
                let reason = view::opens(&campaign, &window);
                self.set_runtime(id, false, Some(reason)).await;
                nap(&window, &wake, &mut shutdown).await;
                continue;
            }
            self.take_up_episodes(id).await;
            let before = settled(&campaign);
            self.set_runtime(id, true, None).await;
            let ended = self.run_agent(&campaign, &window, &wake, &mut shutdown).await;
            let (why, hopeless) = match ended {
                Ended::Died(why) => (why, false),
                Ended::Hopeless(why) => (why, true),
                Ended::Done | Ended::Stopped => continue,
            };
            if self.waited_for_store(id, &mut shutdown).await {
                continue;
            }
            let got_on = self.settled(id).await > before;
            fruitless = if hopeless { FRUITLESS_STARTS } else { 1 + fruitless * u32::from(!got_on) };
            self.after_death(id, fruitless, why, &wake, &mut shutdown).await;
        }
    }

    async fn run_agent(
        &self,
        campaign: &StoredCampaign,
        window: &WindowState,
        wake: &Notify,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut agent = match Agent::start(&self.agents, campaign.id, self.agent_log(&campaign.name)) {
            Ok(agent) => agent,
            Err(why) => return Ended::Died(why),
        };
        info!(pid = agent.pid(), "agent started");
        loop {
            tokio::select! {
                ended = agent.ended() => return self.after_exit(campaign.id, ended).await,
                () = nap(window, wake, shutdown) => {}
            }
            let id = campaign.id;
            let active = self.store.read(move |db| Ok(db.campaign(id)?.state == "active")).await.unwrap_or(true);
            if !active || *shutdown.borrow() || !hours::window(campaign).open {
                agent.stop().await;
                self.set_runtime(campaign.id, false, None).await;
                return Ended::Stopped;
            }
        }
    }

    /// An agent that ends by itself has said so to the daemon before, or it died.
    async fn after_exit(&self, id: i64, ended: Ended) -> Ended {
        let finished = self.store.read(move |db| Ok(db.campaign(id)?.state != "active")).await.unwrap_or(false);
        match ended {
            _ if finished => Ended::Stopped,
            Ended::Done => Ended::Died("the agent ended without finishing its campaign".into()),
            other => other,
        }
    }

    /// Who cannot write can neither get on nor be blamed: waits, and says so, until the store takes writes again. Whether there was
    /// anything to wait for.
    async fn waited_for_store(&self, id: i64, shutdown: &mut watch::Receiver<bool>) -> bool {
        let mut waited = false;
        while let Err(e) = self.store.write(|db| db.try_writing()).await {
            if !e.is_temporary() || *shutdown.borrow() {
                break;
            }
            if !waited {
                warn!("{e}; the campaign goes on when it can be written again");
                self.set_runtime(id, false, Some(format!("{e}; goes on when it can be written again"))).await;
            }
            waited = true;
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                _ = shutdown.wait_for(|down| *down) => {}
            }
        }
        waited
    }

    /// Waits before the next start, longer each time; after too many fruitless ones the campaign fails.
    async fn after_death(
        &self,
        id: i64,
        fruitless: u32,
        why: String,
        wake: &Notify,
        shutdown: &mut watch::Receiver<bool>,
    ) {
        warn!(fruitless, "agent died: {why}");
        if fruitless >= FRUITLESS_STARTS {
            let reason = why.clone();
            match self.store.write(move |db| db.campaign_event(id, &CampaignEvent::Fail(reason))).await {
                Ok(()) => return self.set_runtime(id, false, None).await,
                Err(e) => tracing::error!("the campaign's failure could not be recorded: {e}"),
            }
        }
        let pause = self.agents.first_pause * 2u32.pow(fruitless.saturating_sub(1).min(5));
        self.set_runtime(id, false, Some(format!("agent died, starting again in {} s: {why}", pause.as_secs()))).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
            _ = shutdown.wait_for(|down| *down) => {}
        }
    }

    /// Measurements that a crash or a closed window interrupted.
    async fn take_up_episodes(self: &Arc<Self>, id: i64) {
        match self.store.read(|db| db.measuring_episodes()).await {
            Ok(episodes) => {
                let mine = episodes.into_iter().filter(|(key, _)| key.campaign == id);
                mine.for_each(|(_, episode)| self.measure(id, episode));
            }
            Err(e) => warn!("episodes cannot be read: {e}"),
        }
    }

    async fn settled(&self, id: i64) -> u32 {
        self.store.read(move |db| db.campaign(id)).await.map_or(0, |c| settled(&c))
    }

    fn agent_log(&self, name: &str) -> PathBuf {
        self.config.daemon.log.with_file_name(format!("agent-{name}.log"))
    }
}

/// Episodes that taught their agent something. Failed ones do not: a rack that only fails would be searched on for ever.
fn settled(campaign: &StoredCampaign) -> u32 {
    campaign.progress.measured + campaign.progress.infeasible
}
