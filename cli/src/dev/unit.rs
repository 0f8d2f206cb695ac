//! One process of a fleet: started, watched, started again when it dies, stopped when told.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::log::Log;
use super::spawn::spawn;

/// The pause before a process that died is started again; doubles with each death in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that ran for so long is sound: its next death counts as the first.
const SOUND: Duration = Duration::from_secs(10);
/// A line longer than this is cut: nobody reads it, and a process must not fill our memory.
const LONGEST_LINE: u64 = 16 * 1024;
/// How many of its last lines are kept to explain a death.
const TAIL: usize = 12;

/// What to start.
#[derive(Debug)]
pub(crate) struct Spec {
    /// What the process is called in lists and logs.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// What its environment has beside ours.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What of our environment it must not see.
    pub(crate) hidden: Vec<OsString>,
    /// A file it keeps open.
    pub(crate) keep: Option<File>,
    /// How long it may take to end when asked.
    pub(crate) grace: Duration,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// Its id, while it runs.
    pub(crate) pid: Option<u32>,
    /// How often it ended unasked.
    pub(crate) deaths: u32,
}

/// A death, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// Who.
    pub(crate) name: String,
    /// The process that ended, when it had begun.
    pub(crate) pid: Option<u32>,
    /// How it ended.
    pub(crate) how: String,
    /// When it is started again.
    pub(crate) again_in: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    Stop,
    Kill,
}

/// A process of the fleet.
pub(crate) struct Unit {
    name: String,
    state: watch::Receiver<State>,
    order: watch::Sender<Order>,
    tail: Arc<Mutex<VecDeque<String>>>,
    task: Option<JoinHandle<()>>,
}

impl Unit {
    /// Starts a process and keeps it running.
    pub(crate) fn start(spec: Spec, log: Arc<Log>, deaths: broadcast::Sender<Death>) -> Self {
        let (told, state) = watch::channel(State::default());
        let (order, orders) = watch::channel(Order::Run);
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let name = spec.name.clone();
        let keeper = Keeper { spec, log, deaths, state: told, orders, tail: Arc::clone(&tail) };
        Self { name, state, order, tail, task: Some(tokio::spawn(keeper.run())) }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How it stands.
    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Its last lines.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Asks it to end, once.
    pub(crate) fn ask_to_stop(&self) {
        self.order.send_if_modified(|order| {
            *order == Order::Run && {
                *order = Order::Stop;
                true
            }
        });
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        self.order.send_replace(Order::Kill);
    }

    /// Waits until it has ended; only after it was told to.
    pub(crate) async fn ended(&mut self) {
        if let Some(task) = &mut self.task {
            // Nobody cancels the keeper, and a panic in it has ended the process with its handle.
            let _ = task.await;
            self.task = None;
        }
    }
}

struct Keeper {
    spec: Spec,
    log: Arc<Log>,
    deaths: broadcast::Sender<Death>,
    state: watch::Sender<State>,
    orders: watch::Receiver<Order>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Keeper {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let (pid, how) = match self.begin().await {
                Err(error) => (None, format!("could not be started: {error}")),
                Ok(mut child) => {
                    let pid = child.id();
                    self.state.send_modify(|state| state.pid = pid);
                    let ended = tokio::select! {
                        status = child.wait() => Some(status),
                        _ = self.orders.wait_for(|order| *order != Order::Run) => None,
                    };
                    let Some(status) = ended else {
                        self.end(child).await;
                        self.state.send_modify(|state| state.pid = None);
                        return;
                    };
                    (pid, status.map_or_else(|error| error.to_string(), how_it_ended))
                }
            };
            if began.elapsed() >= SOUND {
                pause = FIRST_PAUSE;
            }
            self.log.line("nova", &format!("{} {how}; started again in {pause:?}", self.spec.name));
            self.state.send_modify(|state| *state = State { pid: None, deaths: state.deaths + 1 });
            // Nobody has to watch.
            let _ = self.deaths.send(Death { name: self.spec.name.clone(), pid, how, again_in: pause });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.orders.wait_for(|order| *order != Order::Run) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn begin(&self) -> std::io::Result<Child> {
        let spec = &self.spec;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).envs(spec.env.iter().map(|(key, value)| (key, value)));
        spec.hidden.iter().for_each(|key| _ = command.env_remove(key));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let keep = spec.keep.as_ref().map(File::try_clone).transpose()?;
        let mut child = spawn(command, keep).await?;
        self.log.line("nova", &format!("{} started as process {}", spec.name, child.id().unwrap_or_default()));
        self.forward(child.stdout.take());
        self.forward(child.stderr.take());
        Ok(child)
    }

    /// Ends a child politely, and by force when it takes too long or somebody is in a hurry.
    async fn end(&mut self, mut child: Child) {
        let is_urgent = *self.orders.borrow() == Order::Kill;
        if !is_urgent && let Some(pid) = child.id().and_then(to_pid) {
            // The child is not reaped yet, so the id is its own.
            let _ = kill_process(pid, Signal::TERM);
            let status = tokio::select! {
                status = child.wait() => Some(status),
                () = tokio::time::sleep(self.spec.grace) => None,
                _ = self.orders.wait_for(|order| *order == Order::Kill) => None,
            };
            if let Some(status) = status {
                let how = status.map_or_else(|error| error.to_string(), how_it_ended);
                self.log.line("nova", &format!("{} stopped: {how}", self.spec.name));
                return;
            }
        }
        self.log.line("nova", &format!("{} is killed", self.spec.name));
        let _ = child.kill().await;
    }

    fn forward(&self, stream: Option<impl AsyncRead + Unpin + Send + 'static>) {
        let Some(stream) = stream else { return };
        let (name, log, tail) = (self.spec.name.clone(), Arc::clone(&self.log), Arc::clone(&self.tail));
        tokio::spawn(async move {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                log.line(&name, &text);
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(text);
                line.clear();
            }
        });
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(9)) => "was killed (SIGKILL)".to_owned(),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// A process id as the system takes it.
pub(crate) fn to_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
