//! What keeps effects from being lost or done twice, as far as the ports do it: each can be taken away, to see that it is missed.

/// A guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The store refuses entries of a worker whose lease was taken over.
    EntriesAreFenced,
    /// A worker sees by its clock that its lease has run out while it stood still.
    ClocksGoOn,
    /// A job under a lease is given to nobody else.
    LeasesAreExclusive,
    /// A lease that is renewed holds for longer.
    LeasesAreRenewed,
    /// Of an issue one job has a worker at a time.
    IssuesHaveOneWorker,
    /// A delivery is durable before it is acknowledged.
    DeliveriesAreDurable,
    /// A delivery of the same name is stored once.
    DeliveriesAreStoredOnce,
    /// What GitHub has sent and nobody took is found in its list.
    MissedDeliveriesAreAskedFor,
    /// A decision that cannot be made is made later.
    DecisionsArePutOff,
    /// A decision and its job are stored together or not at all.
    DecisionsMakeTheirJobs,
    /// A delivery that was decided is not decided again.
    DeliveriesAreDecidedOnce,
    /// The store says when a job was asked for, so that a close that is told late stops no later one.
    ClosesStopWhatWasAskedForBefore,
    /// A job's name follows from what it is about.
    JobsAreNamedByTheirKey,
    /// GitHub is asked whether an effect is there before it is made.
    EffectsAreLookedForFirst,
    /// An effect's key is the same however often it is tried.
    EffectKeysAreTheSame,
    /// Effects are written down before the first is done.
    EffectsAreJournaledFirst,
    /// An entry is durable before it is acknowledged.
    EntriesAreDurable,
    /// Who adds an entry hears what others have added, a cancel above all.
    CancelsAreHeard,
    /// A cancel that comes while effects are done stops none of them.
    PublishingRunsToItsEnd,
    /// A request to GitHub has arrived after half a lease, or never does.
    RequestsEndInTime,
    /// A worker that is told to stop waits for what it has sent to GitHub.
    StoppedWorkersWait,
    /// A job is handed back by a worker that cannot go on, and so is not taken for one that killed it.
    JobsAreHandedBack,
    /// A worker that dies is told from one that hands its job back.
    DeathsAreCounted,
    /// What was reserved counts as spent until it is settled.
    SpendingIsReserved,
    /// What a worker had reserved that died counts as spent for good.
    ReservationsOutliveTheirWorker,
}

impl Guard {
    pub(crate) const ALL: [Self; 25] = [
        Self::EntriesAreFenced,
        Self::ClocksGoOn,
        Self::LeasesAreExclusive,
        Self::LeasesAreRenewed,
        Self::IssuesHaveOneWorker,
        Self::DeliveriesAreDurable,
        Self::DeliveriesAreStoredOnce,
        Self::MissedDeliveriesAreAskedFor,
        Self::DecisionsArePutOff,
        Self::DecisionsMakeTheirJobs,
        Self::DeliveriesAreDecidedOnce,
        Self::ClosesStopWhatWasAskedForBefore,
        Self::JobsAreNamedByTheirKey,
        Self::EffectsAreLookedForFirst,
        Self::EffectKeysAreTheSame,
        Self::EffectsAreJournaledFirst,
        Self::EntriesAreDurable,
        Self::CancelsAreHeard,
        Self::PublishingRunsToItsEnd,
        Self::RequestsEndInTime,
        Self::StoppedWorkersWait,
        Self::JobsAreHandedBack,
        Self::DeathsAreCounted,
        Self::SpendingIsReserved,
        Self::ReservationsOutliveTheirWorker,
    ];
}
