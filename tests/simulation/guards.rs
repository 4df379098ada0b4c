//! What keeps effects from being lost or done twice, as far as the ports do it: each can be taken away, to see that it is missed.

/// A guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// The store refuses entries of a worker whose lease was taken over.
    EntriesAreFenced,
    /// A worker sees by its clock that its lease has run out while it stood still.
    ClocksGoOn,
    /// A job under a lease is given to nobody else.
    LeasesAreExclusive,
    /// A delivery of the same name is stored once.
    DeliveriesAreStoredOnce,
    /// A job's name follows from what it is about.
    JobsAreNamedByTheirKey,
    /// GitHub is asked whether an effect is there before it is made.
    EffectsAreLookedForFirst,
    /// An effect's key is the same however often it is tried.
    EffectKeysAreTheSame,
    /// Effects are written down before the first is done.
    EffectsAreJournaledFirst,
    /// A worker that dies is told from one that hands its job back.
    DeathsAreCounted,
    /// What was reserved counts as spent until it is settled.
    SpendingIsReserved,
    /// An entry is durable before it is acknowledged.
    EntriesAreDurable,
}

impl Guard {
    pub(super) const ALL: [Self; 11] = [
        Self::EntriesAreFenced,
        Self::ClocksGoOn,
        Self::LeasesAreExclusive,
        Self::DeliveriesAreStoredOnce,
        Self::JobsAreNamedByTheirKey,
        Self::EffectsAreLookedForFirst,
        Self::EffectKeysAreTheSame,
        Self::EffectsAreJournaledFirst,
        Self::DeathsAreCounted,
        Self::SpendingIsReserved,
        Self::EntriesAreDurable,
    ];
}
