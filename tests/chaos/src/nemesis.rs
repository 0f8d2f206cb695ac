//! Carries a plan out: injects the faults of each period, waits, and heals them.

use std::time::Duration;

use nova_testkit::{Direction, Mode};

use crate::field::{Field, Member};
use crate::history::{Journal, What};
use crate::plan::{Act, Fault, Period};

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
/// What a slow connection carries, in bytes per second.
const SLOW: u64 = 64 * 1024;

/// Does the faults.
pub struct Nemesis<'a> {
    field: &'a mut Field,
    journal: &'a Journal,
    leader: Option<usize>,
}

impl<'a> Nemesis<'a> {
    /// One that hits this field.
    pub fn new(field: &'a mut Field, journal: &'a Journal) -> Self {
        Self { field, journal, leader: None }
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
            for act in &period.acts {
                self.heal(*act).await?;
                self.journal.note(What::Mended { fault: act.fault.name(), target: self.target(*act) });
            }
            let faults = period.acts.iter().map(|act| act.fault.name()).collect();
            self.journal.note(What::Healed { faults });
        }
        Ok(())
    }

    /// Waits for the end of the period, and notes which process dies at a boundary meanwhile.
    async fn watch(&mut self, period: &Period) {
        let until = tokio::time::Instant::now() + period.lasts;
        let is_armed = |act: &&Act| matches!(act.fault, Fault::WorkerKillAt | Fault::CoordinatorKillAt);
        let mut armed: Vec<Act> = period.acts.iter().filter(is_armed).copied().collect();
        while tokio::time::Instant::now() < until {
            armed.retain(|act| {
                let is_dead = self.member(*act).process().is_none_or(|process| process.try_exit().is_some());
                if is_dead {
                    self.journal.note(What::Gone { who: self.target(*act) });
                }
                !is_dead
            });
            let left = until - tokio::time::Instant::now();
            tokio::time::sleep(if armed.is_empty() { left } else { left.min(LOOK) }).await;
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
            crate::plan::Realm::Broker => format!("server{}", act.target),
            _ => self.field.members[self.place(act)].name.clone(),
        }
    }

    /// Where the member hit stands.
    fn place(&self, act: Act) -> usize {
        match act.fault.realm() {
            crate::plan::Realm::Coordinator => self.field.shape.workers + act.target,
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
