//! Which exit code and which advice each error of the libraries leads to.

use nova_broker::{BrokerError, PublishError};
use nova_client::{KeyStoreError, PutError, QueryError, RedriveError, ScheduleError, SubmitError, WaitError};
use nova_provision::backup::{BackupError, FolderError, RestoreError};
use nova_provision::{ApplyError, PlanError, SkillFileError};

use super::Failure;
use crate::exit::Exit;

const SILENCE: &str = "a user who may not do this sees only silence: check its permissions";
const UNHEARD: &str = "a server whose disk is full says nothing, its /healthz does; nor is a user told who may not do this: \
                       check its permissions";
const PROVISION: &str = "see whether the fleet is set up: nova provision check; set it up: nova provision apply";
const QUEUES: &str =
    "list the queues: nova queue ls; add a skill of your own: nova skill add, then nova provision apply";

fn broker_exit(error: &BrokerError) -> (Exit, Option<&'static str>) {
    match error {
        BrokerError::Timeout { .. } => (Exit::TIMED_OUT, Some(SILENCE)),
        BrokerError::NotFound { .. } => (Exit::NOT_FOUND, Some(PROVISION)),
        BrokerError::Refused { .. } => (Exit::REFUSED, None),
        BrokerError::OldServer { .. } => (Exit::FAILURE, Some("upgrade nats-server")),
        BrokerError::Disconnected { .. } => (Exit::FAILURE, Some("the connection was lost: try again")),
        BrokerError::Connect { .. } | BrokerError::Garbled { .. } => (Exit::FAILURE, None),
    }
}

fn publish_exit(error: &PublishError) -> (Exit, Option<&'static str>) {
    match error {
        PublishError::Unknown { .. } => (Exit::TIMED_OUT, Some(UNHEARD)),
        PublishError::NoStream { .. } => (Exit::NOT_FOUND, Some(PROVISION)),
        PublishError::Conflict { .. }
        | PublishError::Full { .. }
        | PublishError::TooLarge { .. }
        | PublishError::Refused { .. } => (Exit::REFUSED, None),
    }
}

fn made(
    code: impl Into<String>,
    error: impl Into<anyhow::Error>,
    (exit, help): (Exit, Option<&'static str>),
) -> Failure {
    let failure = Failure::because(exit, code, error);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        let how = broker_exit(&error);
        made("broker", error, how)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let how = match &error {
            QueryError::UnknownTask { .. } => (
                Exit::NOT_FOUND,
                Some("outcomes age out (after 24 hours by default); what is known: nova task ls, nova dead ls"),
            ),
            QueryError::Ambiguous { .. } => (Exit::USAGE, Some("say which one: --skill NAME")),
            QueryError::NoQueue { .. } => (Exit::NOT_FOUND, Some(QUEUES)),
            QueryError::UnknownWorker { .. } => (Exit::NOT_FOUND, Some("see who is there: nova worker ls")),
            QueryError::UnknownRun { .. } => (
                Exit::NOT_FOUND,
                Some("list the runs: nova run ls; one that could not start is a task of nova-run: nova wait ID"),
            ),
            QueryError::UnknownWorkflow { .. } => {
                (Exit::NOT_FOUND, Some("list them: nova workflow ls; add one: nova workflow put FILE"))
            }
            QueryError::AmbiguousVersion { .. } => (Exit::USAGE, Some("give more of the hash")),
            QueryError::Broker { source, .. } => broker_exit(source),
            QueryError::Write { source, .. } => publish_exit(source),
            QueryError::Payload { .. }
            | QueryError::Garbled { .. }
            | QueryError::GarbledRun { .. }
            | QueryError::Value { .. } => (Exit::FAILURE, None),
        };
        made(error.code(), error, how)
    }
}

fn submit_exit(error: &SubmitError) -> (Exit, Option<&'static str>) {
    match error {
        SubmitError::NoQueue { .. } => (Exit::NOT_FOUND, Some(QUEUES)),
        SubmitError::NotKeyed { .. } => (Exit::USAGE, Some("which skills are keyed: nova queue show SKILL")),
        SubmitError::Full { .. } => {
            (Exit::REFUSED, Some("try again later; what fills it: nova queue show SKILL, nova worker ls"))
        }
        SubmitError::TooLarge { .. } | SubmitError::Refused { .. } => (Exit::REFUSED, None),
        SubmitError::BadInput { .. } | SubmitError::BadTask { .. } => (Exit::USAGE, None),
        SubmitError::Conflict { .. } => {
            (Exit::REFUSED, Some("what that task was and became: nova show ID; another input needs another key"))
        }
        SubmitError::KeyStore { source, .. } => match &**source {
            KeyStoreError::Read(source) => broker_exit(source),
            KeyStoreError::Write(source) => publish_exit(source),
            KeyStoreError::Garbled => {
                (Exit::FAILURE, Some("see it: nats kv ls nova-keys; remove it: nats kv del nova-keys KEY"))
            }
        },
        SubmitError::Payload { .. } => (Exit::FAILURE, None),
        SubmitError::NoReceipt { .. } => (Exit::TIMED_OUT, Some(UNHEARD)),
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let how = submit_exit(&error);
        made(error.code(), error, how)
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let how = match &error {
            WaitError::TimedOut { .. } => {
                (Exit::TIMED_OUT, Some("the task goes on; why it takes so long: nova why ID; wait on: nova wait ID"))
            }
            WaitError::Forgotten { .. } => {
                (Exit::NOT_FOUND, Some("outcomes age out (after 24 hours by default); a new task needs a new key"))
            }
            WaitError::Submit(source) => submit_exit(source),
            WaitError::Broker { source, .. } => broker_exit(source),
            WaitError::Result { .. } | WaitError::Garbled { .. } | WaitError::Items { .. } => (Exit::FAILURE, None),
        };
        made(error.code(), error, how)
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        let how = match &error {
            ScheduleError::Spec(_) | ScheduleError::ZoneWithoutCron | ScheduleError::CatchUpOnce => (Exit::USAGE, None),
            ScheduleError::Task(source) => submit_exit(source),
            ScheduleError::NoCoordinator => {
                (Exit::FAILURE, Some("start a coordinator: nova-coordinator; `nova dev` brings one"))
            }
            ScheduleError::Refused { .. } => (Exit::REFUSED, Some("what is scheduled: nova schedule ls")),
            ScheduleError::NoAnswer { .. } => (Exit::TIMED_OUT, Some(SILENCE)),
            ScheduleError::Garbled { .. } => (Exit::FAILURE, None),
        };
        let code = error.code().to_owned();
        made(code, error, how)
    }
}

impl From<RedriveError> for Failure {
    fn from(error: RedriveError) -> Self {
        let how = match &error {
            RedriveError::Completed { .. } => (Exit::REFUSED, Some("drop the letter: nova dead drop ID")),
            RedriveError::TooOften { .. } => (Exit::REFUSED, Some("see why it dies: nova dead show ID")),
            RedriveError::Garbled { .. } => (Exit::FAILURE, Some("give it a new input: nova dead edit ID INPUT")),
            RedriveError::Submit { source, .. } => submit_exit(source),
            RedriveError::Original { source, .. } => broker_exit(source),
            RedriveError::Payload { .. } | RedriveError::Look { .. } => (Exit::FAILURE, None),
        };
        made(error.code(), error, how)
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        let error = match error {
            PutError::Query(source) => return source.into(),
            other => other,
        };
        let how = match &error {
            PutError::Write { source, .. } => publish_exit(source),
            PutError::TooLarge { .. } => (Exit::USAGE, Some("split it: a step `run` starts a run of another workflow")),
            PutError::Busy { .. } => (Exit::REFUSED, Some("try again")),
            PutError::Unknown { .. } | PutError::Query(_) => (Exit::USAGE, Some(QUEUES)),
        };
        made(error.code(), error, how)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let how = match &error {
            PlanError::List { source, .. } | PlanError::Look { source, .. } => broker_exit(source),
        };
        made("provision", error, how)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let how = match &error {
            ApplyError::Plan(PlanError::List { source, .. } | PlanError::Look { source, .. })
            | ApplyError::Step { source, .. } => broker_exit(source),
        };
        made("provision", error, how).help("what was done stays; apply again to go on")
    }
}

fn folder_exit(error: &FolderError) -> (Exit, Option<&'static str>) {
    match error {
        FolderError::NotEmpty { .. } => (Exit::USAGE, Some("a backup needs a folder of its own: name another one")),
        FolderError::NoManifest { .. } => (
            Exit::NOT_FOUND,
            Some("name the folder that `nova backup` was given; one that was not finished cannot be used"),
        ),
        FolderError::Manifest { .. } => {
            (Exit::REFUSED, Some("a later format needs a later nova; else take another backup"))
        }
        FolderError::Missing { .. }
        | FolderError::Size { .. }
        | FolderError::Damaged { .. }
        | FolderError::Line { .. } => {
            (Exit::REFUSED, Some("nothing was restored from it: copy the folder again, or take another backup"))
        }
        FolderError::Io { .. } => (Exit::FAILURE, None),
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let how = folder_exit(&error);
        made("backup_folder", error, how)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let how = match &error {
            BackupError::Folder(source) => folder_exit(source),
            BackupError::Nothing { .. } => (Exit::NOT_FOUND, Some(PROVISION)),
            BackupError::List(source) | BackupError::Pack { source, .. } | BackupError::Pause { source, .. } => {
                broker_exit(source)
            }
            BackupError::Restless { .. } => {
                (Exit::TIMED_OUT, Some("see what coordinators are at: their log, nova run ls"))
            }
            BackupError::Moved { .. } => (Exit::FAILURE, Some("two backups at once do that: try again, one at a time")),
        };
        let is_begun =
            !matches!(error, BackupError::Folder(FolderError::NotEmpty { .. }) | BackupError::Nothing { .. });
        let failure = made("backup", error, how);
        if is_begun {
            failure.help("what is in the folder is no backup: name another one, or remove it")
        } else {
            failure
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let how = match &error {
            RestoreError::Folder(source) => folder_exit(source),
            RestoreError::Look(source) | RestoreError::Settle { source, .. } => broker_exit(source),
            RestoreError::Occupied { .. } => {
                (Exit::REFUSED, Some("restore into a server without any of these; what is in its way: nats stream ls"))
            }
            RestoreError::OldServer { .. } => {
                (Exit::REFUSED, Some("restore into a server of that version or a later one"))
            }
            RestoreError::Stream { source: BrokerError::Refused { .. }, .. } => (
                Exit::REFUSED,
                Some("more servers than there are: --profile durable; more bytes than there are: raise max_file_store"),
            ),
            RestoreError::Stream { source, .. } => broker_exit(source),
            RestoreError::Tail { source, .. } => publish_exit(source),
            RestoreError::Short { .. } | RestoreError::Ahead { .. } => (Exit::FAILURE, None),
        };
        made("restore", error, how)
    }
}

impl From<SkillFileError> for Failure {
    fn from(error: SkillFileError) -> Self {
        let how = match &error {
            SkillFileError::Missing { .. } => (Exit::NOT_FOUND, Some("what is there: nova skill ls")),
            SkillFileError::Exists { .. } => {
                (Exit::REFUSED, Some("remove it first: nova skill rm NAME; or edit the file"))
            }
            SkillFileError::Catalogue(_) => (Exit::USAGE, None),
            SkillFileError::Read { .. } | SkillFileError::Write { .. } => (Exit::FAILURE, None),
        };
        made("catalogue", error, how)
    }
}
