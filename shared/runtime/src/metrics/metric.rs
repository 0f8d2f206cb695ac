//! The table of metrics: one line each with name, kind, labels and help.

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Times, by bucket.
    Histogram,
}

/// Which process shows a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Every process.
    Any,
    /// Workers.
    Worker,
    /// Coordinators.
    Coordinator,
}

macro_rules! metrics {
    ($($side:ident $metric:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// The name of a metric.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = concat!("`", $name, "`: ", $help, ".")] $metric,)*
        }

        impl Metric {
            /// Every metric, in the order of the enum.
            pub const ALL: &[Self] = &[$(Self::$metric,)*];

            /// The name as Prometheus sees it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$metric => $name,)* }
            }

            /// What it measures.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$metric => Kind::$kind,)* }
            }

            /// The names of its labels; values are given in this order.
            #[must_use]
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$metric => &[$($label),*],)* }
            }

            /// What it means, for the reader of `/metrics`.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$metric => $help,)* }
            }

            /// Which process shows it.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(Self::$metric => Side::$side,)* }
            }
        }
    };
}

metrics! {
    Any BuildInfo = Gauge "nova_build_info" ["process", "version"] "Always 1; the labels say what runs";
    Any PublishErrors = Counter "nova_publish_errors_total" [] "Messages the broker did not take";
    Any Reconnects = Counter "nova_reconnects_total" [] "Connections to the broker made again after a loss";
    Any PermissionViolations = Counter "nova_permission_violations_total" [] "Operations the broker refused for lack of rights";

    Worker TasksFinished = Counter "nova_tasks_finished_total" ["skill", "kind"] "Outcomes recorded, by kind completed, dead or cancelled";
    Worker ItemsFinished = Counter "nova_items_finished_total" ["skill", "kind"] "Items of bundles whose outcome is recorded, by kind completed, dead or cancelled";
    Worker AttemptsFailed = Counter "nova_attempts_failed_total" ["skill"] "Attempts that ended without success";
    Worker AttemptsRetried = Counter "nova_attempts_retried_total" ["skill"] "Failed attempts that will be followed by another";
    Worker OutcomesFenced = Counter "nova_outcomes_fenced_total" ["skill"] "Outcomes refused because the task already had one";
    Worker LeasesLost = Counter "nova_leases_lost_total" ["skill"] "Attempts stopped because their lease had ended";
    Worker Redeliveries = Counter "nova_redeliveries_total" ["skill"] "Tasks delivered again by the broker";
    Worker Snoozes = Counter "nova_snoozes_total" ["skill"] "Tasks put back by their skill without using up an attempt";
    Worker QueueWait = Histogram "nova_queue_wait_seconds" ["skill"] "Time from submission to the start of the first attempt";
    Worker RunTime = Histogram "nova_run_time_seconds" ["skill"] "Time an attempt ran";
    Worker Slots = Gauge "nova_slots" ["skill"] "Attempts that may run at once";
    Worker SlotsRunning = Gauge "nova_slots_running" ["skill"] "Attempts running now";
    Worker AttemptsStuck = Gauge "nova_attempts_stuck" ["skill"] "Attempts that still run though they were told to stop";
    Worker Pulls = Counter "nova_pulls_total" ["skill"] "Requests for tasks sent to the broker";
    Worker OutcomeStoreFull = Counter "nova_outcome_store_full_total" ["skill"] "Outcomes held back because the broker had no room";
    Worker RateWaits = Counter "nova_rate_waits_total" ["skill"] "Pauses because the rate of the skill left no room to start a task";

    Coordinator TasksSwept = Counter "nova_tasks_swept_total" ["skill"] "Tasks the sweeper put right";
    Coordinator TasksStuck = Gauge "nova_tasks_stuck" ["skill"] "Tasks that wait or run longer than their policy explains";
    Coordinator TasksOrphaned = Gauge "nova_tasks_orphaned" ["skill"] "Tasks whose worker is gone and that nobody has taken again";
    Coordinator TasksOverdelivered = Gauge "nova_tasks_overdelivered" ["skill"] "Tasks delivered more often than their policy allows";
    Coordinator LawImbalance = Gauge "nova_law_imbalance_tasks" ["skill"] "Accepted tasks that are in no state; anything but 0 is a fault";
    Coordinator TasksVanished = Counter "nova_tasks_vanished_total" ["skill"] "Tasks that are gone from their queue though nobody took them; anything but 0 is a fault";
    Coordinator OldestWaiting = Gauge "nova_oldest_waiting_seconds" ["skill", "priority"] "Age of the oldest task that waits";
    Coordinator LastConsumed = Gauge "nova_last_consumed_seconds" ["skill"] "Time since a worker last took a task";
    Coordinator Canary = Gauge "nova_canary_seconds" [] "Time the last canary task took from submission to outcome";
    Coordinator MessagesTrimmed = Counter "nova_messages_trimmed_total" ["skill"] "Finished messages removed from task history";
    Coordinator DueForwarded = Counter "nova_due_forwarded_total" ["skill"] "Delayed and cron tasks moved to their queue";
    Coordinator CancelsHandled = Counter "nova_cancels_handled_total" ["skill"] "Cancels of waiting tasks carried out";
    Coordinator CallsServed = Counter "nova_calls_served_total" ["skill"] "Ask-and-wait calls answered";
    Coordinator QueueWaiting = Gauge "nova_queue_waiting_tasks" ["skill", "priority"] "Tasks that no worker has taken";
    Coordinator QueueRunning = Gauge "nova_queue_running_tasks" ["skill", "priority"] "Tasks under lease or between attempts";
    Coordinator QueuePaused = Gauge "nova_queue_paused" ["skill", "priority"] "1 while the queue is paused";
    Coordinator HistoryBytes = Gauge "nova_history_bytes" ["skill"] "Bytes of tasks that are done with and not trimmed yet";
    Coordinator HistoryPinned = Gauge "nova_history_pinned_bytes" ["skill"] "Bytes of history that cannot go because an older task is not done with";
    Coordinator TasksRehomed = Counter "nova_tasks_rehomed_total" ["skill"] "Waiting tasks moved to the end of their queue to free the history behind them";
    Coordinator BlobsExpired = Counter "nova_blobs_expired_total" [] "Payloads deleted because nothing names them any more";
    Coordinator Leader = Gauge "nova_leader" [] "1 on the coordinator that sweeps and trims";
    Coordinator RunsStarted = Counter "nova_runs_started_total" [] "Workflow runs that began";
    Coordinator RunsEnded = Counter "nova_runs_ended_total" ["status"] "Workflow runs that ended, by status completed, failed or cancelled";
    Coordinator RunsDeleted = Counter "nova_runs_deleted_total" [] "Old workflow runs deleted with all they kept";
    Coordinator RunsLive = Gauge "nova_runs_live" [] "Workflow runs held in memory";
    Coordinator RunsParked = Counter "nova_runs_parked_total" [] "Times a workflow run could not be moved because its record or definition is not understood";
    Coordinator RunTransitions = Counter "nova_run_transitions_total" [] "Transitions recorded of workflow runs";
    Coordinator RunConflicts = Counter "nova_run_conflicts_total" [] "Transitions decided again because another coordinator was first";
    Coordinator RunOutcomesFolded = Counter "nova_run_outcomes_folded_total" [] "Outcomes of tasks recorded in workflow runs";
    Coordinator CallsPending = Gauge "nova_calls_pending" [] "Ask-and-wait calls that wait for their outcome";
}
