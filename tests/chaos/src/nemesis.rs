//! Carries a plan out: injects the faults of each period, waits, and heals them.

use std::time::Duration;

use nova_testkit::{Direction, Mode};

use crate::field::{Field, Member, consumers};
use crate::history::{Journal, What};
use crate::plan::{Act, Fault, Period, Realm};

mod by_hand;

use by_hand::Paused;

/// The boundaries of a task's life at which a worker can die.
const WORKER_POINTS: [&str; 6] =
    ["before-start", "mid-work", "after-run", "after-outcome", "after-ack", "after-attempt"];
/// The boundaries of a run's life, and of what else coordinators do.
const COORDINATOR_POINTS: [&str; 8] = [
    "run-claimed",
    "run-admitted",
    "run-appended",
    "run-effect",
    "run-carried-out",
    "run-before-ack",
    "run-outcome",
    "due-forwarded",
];
/// How wrong a clock goes, in milliseconds.
const SKEW_MS: i64 = 3_600_000;
/// How often it is looked whether an armed process has died: what is measured from its death is off by that at most.
const LOOK: Duration = Duration::from_millis(10);
/// How much longer than the period a process that is to die at a boundary is waited for.
const DIES: Duration = Duration::from_secs(10);
/// What a slow connection carries, in bytes per second.
const SLOW: u64 = 64 * 1024;
/// What a server says whose disk is full.
const NO_SPACE: &str = "no space left on device";
/// How long a server whose disk was full may take to end before it is killed, as whoever supervises it does.
const STUBBORN: Duration = Duration::from_secs(10);

/// What was seen of faults that leave their trace at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Met {
    /// Full disks of which their server said so.
    pub full: u64,
    /// Servers that could not be stopped politely behind a full disk.
    pub hung: u64,
    /// Deleted consumers of which a coordinator said so.
    pub missed: u64,
    /// Purges of which a coordinator said so.
    pub purged: u64,
}

/// Does the faults.
pub struct Nemesis<'a> {
    field: &'a mut Field,
    journal: &'a Journal,
    leader: Option<usize>,
    met: Met,
    /// How often the server had said so before its disk was filled.
    said: usize,
}

impl<'a> Nemesis<'a> {
    /// One that hits this field.
    pub fn new(field: &'a mut Field, journal: &'a Journal) -> Self {
        Self { field, journal, leader: None, met: Met::default(), said: 0 }
    }

    /// What was seen.
    #[must_use]
    pub fn met(&self) -> Met {
        self.met
    }

    /// Carries a whole plan out; when this returns everything is healed.
    ///
    /// # Errors
    /// When something cannot be started again.
    pub async fn run(&mut self, plan: &[Period], mut progress: impl FnMut(usize, &Period)) -> anyhow::Result<()> {
        for (at, period) in plan.iter().enumerate() {
            tokio::time::sleep(period.rest).await;
            progress(at, period);
            for act in &period.acts {
                let (fault, target) = (act.fault.name(), self.target(*act));
                self.journal.note(What::Fault { fault, target });
                self.inject(*act).await?;
            }
            self.watch(period).await;
            // Who is to raise an alarm has to be well first.
            let is_by_hand = |act: &&Act| act.fault.realm() == Realm::Queue;
            let (last, first): (Vec<&Act>, Vec<&Act>) = period.acts.iter().partition(is_by_hand);
            for act in first.into_iter().chain(last) {
                self.heal(*act).await?;
                self.journal.note(What::Mended { fault: act.fault.name(), target: self.target(*act) });
            }
            let faults = period.acts.iter().map(|act| act.fault.name()).collect();
            self.journal.note(What::Healed { faults });
        }
        Ok(())
    }

    /// Waits for the end of the period, and notes which process dies at a boundary meanwhile; who is to die has more time, as how
    /// soon it comes to its boundary is the machine's.
    async fn watch(&mut self, period: &Period) {
        let until = tokio::time::Instant::now() + period.lasts;
        let is_armed = |act: &&Act| matches!(act.fault, Fault::WorkerKillAt | Fault::CoordinatorKillAt);
        let mut armed: Vec<Act> = period.acts.iter().filter(is_armed).copied().collect();
        loop {
            armed.retain(|act| {
                let is_dead = self.member(*act).process().is_none_or(|process| process.try_exit().is_some());
                if is_dead {
                    self.journal.note(What::Gone { who: self.target(*act) });
                }
                !is_dead
            });
            let now = tokio::time::Instant::now();
            if now >= until && (armed.is_empty() || now >= until + DIES) {
                return;
            }
            tokio::time::sleep(if armed.is_empty() { until - now } else { LOOK }).await;
        }
    }

    /// Kills a member, and notes it where it was alive.
    fn kill(&mut self, act: Act) {
        let member = self.member(act);
        let was_alive = member.process().is_some_and(|process| process.try_exit().is_none());
        member.kill();
        if was_alive {
            self.journal.note(What::Gone { who: self.target(act) });
        }
    }

    fn target(&self, act: Act) -> String {
        match act.fault.realm() {
            Realm::Broker => format!("server{}", act.target),
            Realm::Queue if act.fault == Fault::QueuePurged => format!("servers' {}", by_hand::purged()),
            Realm::Queue => {
                let (stream, consumer) = &consumers()[act.target];
                format!("servers' {stream} {consumer}")
            }
            _ => self.field.members[self.place(act)].name.clone(),
        }
    }

    /// Where the member hit stands.
    fn place(&self, act: Act) -> usize {
        match act.fault.realm() {
            Realm::Coordinator => self.field.shape.workers + act.target,
            _ => act.target,
        }
    }

    fn member(&mut self, act: Act) -> &mut Member {
        let place = self.place(act);
        &mut self.field.members[place]
    }

    async fn inject(&mut self, act: Act) -> anyhow::Result<()> {
        let skew = if act.variant.is_multiple_of(2) { SKEW_MS } else { -SKEW_MS };
        let hit = act.variant % 40 + 1;
        match act.fault {
            Fault::WorkerKill | Fault::CoordinatorKill => self.kill(act),
            Fault::WorkerKillAt => self.armed(act, &WORKER_POINTS, hit)?,
            Fault::CoordinatorKillAt => self.armed(act, &COORDINATOR_POINTS, hit % 8 + 1)?,
            Fault::WorkerPause | Fault::CoordinatorPause => {
                self.member(act).process().into_iter().for_each(nova_testkit::Process::stop);
                self.journal.note(What::Gone { who: self.target(act) });
            }
            Fault::WorkerDrain => self.member(act).process().into_iter().for_each(nova_testkit::Process::term),
            Fault::WorkerClock | Fault::CoordinatorClock => {
                self.kill(act);
                self.member(act).start(&[(nova_runtime::clock::SKEW_VARIABLE, skew.to_string())])?;
            }
            Fault::Silence => self.links(act, |proxy| proxy.blackhole()),
            Fault::SilenceUp => self.links(act, |proxy| proxy.set(Direction::Up, Mode::Blackhole)),
            Fault::SilenceDown => self.links(act, |proxy| proxy.set(Direction::Down, Mode::Blackhole)),
            Fault::Reset => self.links(act, nova_testkit::Proxy::reset),
            Fault::HalfClose => {
                let way = if act.variant.is_multiple_of(2) { Direction::Up } else { Direction::Down };
                self.links(act, |proxy| proxy.half_close(way));
            }
            Fault::Lag => {
                self.links(act, |proxy| proxy.delay(Duration::from_millis(60), Duration::from_millis(80)));
            }
            Fault::Slow => self.links(act, |proxy| proxy.rate(SLOW)),
            Fault::BrokerKill => blocking(|| self.field.servers[act.target].kill9()),
            Fault::BrokerStop => blocking(|| self.field.servers[act.target].term()),
            Fault::BrokerPause => self.field.servers[act.target].stop_signal(),
            Fault::LeaderKill => {
                let leader = self.field.leader_of(nova_wire::assets::OUTCOMES).await.unwrap_or(act.target);
                self.leader = Some(leader);
                blocking(|| self.field.servers[leader].kill9());
            }
            Fault::BrokerCut => self.edges(act, |proxy| proxy.blackhole()),
            Fault::BrokerCutOneWay => {
                let edges = self.field.edges.iter().filter(|edge| edge.from == act.target || edge.to == act.target);
                for edge in edges {
                    // What it sends travels up where it connected, and down where others did.
                    let way = if edge.from == act.target { Direction::Up } else { Direction::Down };
                    edge.proxy.set(way, Mode::Blackhole);
                }
            }
            Fault::PowerCut => self.cut_power(act.target)?,
            Fault::PowerCutAll => (0..self.field.servers.len()).try_for_each(|server| self.cut_power(server))?,
            Fault::DiskFull => {
                self.said = self.no_space(act.target);
                self.field.disks[act.target].fill()?;
            }
            Fault::ConsumerDeleted => by_hand::delete(self.field, act.target).await?,
            Fault::QueuePurged => by_hand::pause(self.field, Paused::Yes).await?,
        }
        Ok(())
    }

    async fn heal(&mut self, act: Act) -> anyhow::Result<()> {
        match act.fault {
            Fault::WorkerKill | Fault::CoordinatorKill => self.member(act).start(&[])?,
            Fault::WorkerKillAt | Fault::CoordinatorKillAt | Fault::WorkerClock | Fault::CoordinatorClock => {
                self.kill(act);
                self.member(act).start(&[])?;
            }
            Fault::WorkerPause | Fault::CoordinatorPause => {
                self.member(act).process().into_iter().for_each(nova_testkit::Process::cont);
            }
            Fault::WorkerDrain => {
                let member = self.member(act);
                member.ended().await;
                member.start(&[])?;
            }
            Fault::Silence | Fault::SilenceUp | Fault::SilenceDown | Fault::Lag | Fault::Slow => {
                self.links(act, nova_testkit::Proxy::pass);
            }
            Fault::Reset | Fault::HalfClose => {}
            Fault::BrokerKill | Fault::BrokerStop => blocking(|| self.field.servers[act.target].restart()),
            Fault::BrokerPause => self.field.servers[act.target].cont(),
            Fault::LeaderKill => {
                let leader = self.leader.take().unwrap_or(act.target);
                blocking(|| self.field.servers[leader].restart());
            }
            Fault::BrokerCut | Fault::BrokerCutOneWay => self.edges(act, nova_testkit::Proxy::pass),
            Fault::PowerCut => self.restore_power(act.target)?,
            Fault::PowerCutAll => (0..self.field.servers.len()).try_for_each(|server| self.restore_power(server))?,
            Fault::DiskFull => {
                self.met.full += u64::from(self.no_space(act.target) > self.said);
                self.field.disks[act.target].free()?;
                // What it could not write stands still until then, and sometimes the whole server does.
                let server = &mut self.field.servers[act.target];
                self.met.hung += u64::from(!blocking(|| server.term_within(STUBBORN)));
                blocking(|| server.restart());
            }
            Fault::ConsumerDeleted => {
                self.met.missed += u64::from(by_hand::is_noticed(self.field).await);
                self.field.mend().await?;
            }
            Fault::QueuePurged => {
                self.met.purged += u64::from(by_hand::purge(self.field).await?);
                by_hand::pause(self.field, Paused::No).await?;
            }
        }
        Ok(())
    }

    /// Starts the member anew, to die at one of the points when it comes there for the n-th time.
    fn armed(&mut self, act: Act, points: &[&str], hit: u64) -> anyhow::Result<()> {
        let point = points[usize::try_from(act.variant / 40).unwrap_or(0) % points.len()];
        self.kill(act);
        self.member(act).start(&[("NOVA_FAILPOINT", format!("{point}=kill@{hit}"))])
    }

    fn links(&mut self, act: Act, each: impl Fn(&nova_testkit::Proxy)) {
        self.member(act).proxies.iter().for_each(each);
    }

    fn edges(&self, act: Act, each: impl Fn(&nova_testkit::Proxy)) {
        let is_its = |edge: &&nova_testkit::Edge| edge.from == act.target || edge.to == act.target;
        self.field.edges.iter().filter(is_its).for_each(|edge| each(&edge.proxy));
    }

    /// How often a server said that its disk is full.
    fn no_space(&self, server: usize) -> usize {
        self.field.servers[server].log().matches(NO_SPACE).count()
    }

    fn cut_power(&mut self, server: usize) -> anyhow::Result<()> {
        self.field.disks[server].cut()?;
        blocking(|| self.field.servers[server].kill9());
        Ok(())
    }

    fn restore_power(&mut self, server: usize) -> anyhow::Result<()> {
        self.field.disks[server].restore()?;
        blocking(|| self.field.servers[server].restart());
        Ok(())
    }
}

/// Waits for a server on a thread that others do not need: the proxies go on.
fn blocking<T>(wait: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(wait)
}
