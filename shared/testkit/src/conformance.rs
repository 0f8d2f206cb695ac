//! What every broker adapter must do, as named claims that run unmodified against each of them.
//!
//! A claim uses the ports alone and streams of its own, so all run at once, and the time they take is that of the
//! slowest. It waits for states, never for a time to pass: with the memory adapter on a paused clock the whole suite
//! takes milliseconds.

mod admin;
mod core_messages;
mod ground;
mod keeping;
mod leases;
mod pulling;
mod reading;
mod schedules;
mod storing;

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use nova_broker::BrokerRef;

/// One claim about a broker.
#[derive(Clone, Copy)]
pub struct Case {
    /// What is claimed.
    pub name: &'static str,
    /// Tries it on a broker; panics when it does not hold.
    pub check: fn(BrokerRef) -> LocalBoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        vec![$($(Case { name: stringify!($case), check: |broker| $module::$case(broker).boxed_local() },)*)*]
    };
}

/// All claims.
#[must_use]
pub fn cases() -> Vec<Case> {
    cases! {
        storing:
            an_expected_last_sequence_decides
            one_of_many_racers_wins
            a_dedupe_key_is_stored_once
            a_dedupe_key_is_forgotten_after_its_window
            an_expectation_is_judged_before_a_duplicate_is_told
            a_duplicate_is_told_even_when_the_stream_is_full
            a_full_stream_refuses_until_there_is_room
            a_stream_full_of_bytes_refuses
            a_stream_that_drops_old_ones_keeps_the_newest
            a_subject_keeps_its_newest
            a_message_expires_by_the_streams_age
            a_message_expires_by_its_own_time
            a_message_without_end_outlives_the_streams_age
            an_expired_last_message_leaves_a_mark
            a_time_to_live_must_be_allowed_and_readable
            a_rollup_replaces_what_its_subject_held
            a_subject_without_stream_is_told
            a_message_too_large_is_told
            headers_and_body_come_back_as_sent
            a_stream_begins_at_its_first_sequence
            a_stream_stores_what_it_makes_of_a_subject;
        reading:
            a_message_is_read_by_subject_and_by_sequence
            a_scan_brings_pages_in_order
            a_scan_keeps_to_its_subject
            a_scan_of_lasts_brings_one_of_each
            a_scan_brings_more_than_the_broker_gives_at_a_time
            a_purge_deletes_what_it_names
            a_missing_stream_is_not_found;
        leases:
            a_lease_that_ends_comes_again
            a_stale_ack_is_accepted
            an_extended_lease_holds
            a_late_extend_is_too_late
            a_stale_extend_extends_its_successors_lease
            a_late_nak_puts_off_what_comes_again
            a_nak_without_delay_comes_at_once
            a_nak_waits_for_its_delay
            what_was_put_off_can_be_taken_up_again
            what_was_put_off_can_come_at_once_after_all
            what_comes_again_goes_first
            no_more_are_out_than_allowed
            acked_messages_stay_in_the_stream;
        pulling:
            a_pull_never_brings_more_than_asked
            a_pull_for_now_ends
            a_waiting_pull_gets_what_comes_later
            a_waiting_pull_ends_when_its_time_is_over
            a_waiting_pull_has_heartbeats
            pulls_that_wait_take_turns
            two_consumers_read_their_own_subjects
            deliveries_are_numbered_without_gaps
            a_dropped_pull_hands_back_what_it_was_given
            a_dropped_pull_hands_back_what_still_arrives
            pulls_beyond_the_limit_fail
            a_pull_from_nobody_fails
            a_deleted_consumer_ends_its_pulls
            a_consumer_begins_where_it_is_told;
        admin:
            a_stream_put_twice_is_the_same
            a_stream_can_be_changed
            streams_must_not_overlap
            schedules_and_refusing_when_full_exclude_each_other
            streams_are_listed_by_prefix
            a_deleted_stream_is_gone
            a_changed_consumer_keeps_its_position
            a_consumers_limit_of_pulls_is_for_ever
            a_consumer_counts_what_it_did
            a_purge_leaves_nothing_to_deliver
            a_paused_consumer_gives_nothing_until_resumed
            a_pause_ends_by_itself
            the_connection_stands;
        core_messages:
            listeners_hear_what_they_subscribed
            one_of_a_group_hears_each_message
            a_question_is_answered
            a_question_nobody_serves_is_not_found
            a_question_without_answer_times_out
            a_publish_is_heard_even_when_refused
            a_dropped_listener_is_gone
            a_service_answers_and_can_be_withdrawn;
        schedules:
            a_schedule_fires_once_and_purges_itself
            a_schedule_in_the_past_fires_soon
            a_repeating_schedule_fires_again
            a_replaced_schedule_does_not_fire
            a_purged_schedule_does_not_fire
            a_schedule_is_ended_by_whoever_names_it
            a_fired_message_wakes_a_waiting_pull
            a_crooked_schedule_is_refused;
        keeping:
            a_blob_reads_as_it_was_written
            a_damaged_blob_is_told
            blobs_written_at_once_read_as_they_were_written
            a_key_is_written_compared_and_deleted
            a_key_with_a_time_to_live_goes
            entries_are_all_live_keys;
    }
}

/// Tries all claims at once on one broker.
///
/// # Panics
/// When one does not hold; the message names each that does not, and what it said stands above.
pub async fn run(broker: BrokerRef) {
    let running = cases().into_iter().map(|case| {
        let checking = AssertUnwindSafe((case.check)(broker.clone())).catch_unwind();
        checking.map(move |end| end.err().map(|panic| format!("{}: {}", case.name, said(&*panic))))
    });
    let failed: Vec<String> = join_all(running).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} claims do not hold:\n{}", failed.len(), failed.join("\n"));
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panicked")
}
