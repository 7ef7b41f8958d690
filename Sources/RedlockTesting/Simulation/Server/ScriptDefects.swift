// SPDX-License-Identifier: Apache-2.0

/// Mistakes that the scripts of a ``SimulatedServer`` may be given, to see whether a test finds them.
package struct ScriptDefects: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Release deletes the key whoever holds it.
    package static let releaseDeletesForeignKey = Self(rawValue: 1 << 0)
    /// Extend sets the key again where it is missing, and answers as if it had been there.
    package static let extendRecreatesMissingKey = Self(rawValue: 1 << 1)
    /// Extend sets the life to the TTL also where the key had longer to live.
    package static let extendShortensLife = Self(rawValue: 1 << 2)
    /// Acquire grants whatever the record of the node is, and where there is none.
    package static let acquireIgnoresRecord = Self(rawValue: 1 << 3)
    /// Acquire counts on from 0 where the counter was lost.
    package static let acquireDoesNotSeedLostCounter = Self(rawValue: 1 << 4)
    /// Acquire answers where the counter stands and leaves it there, so that a token is given twice.
    package static let acquireAnswersCounterWithoutRaising = Self(rawValue: 1 << 5)
    /// Acquire takes the key also where somebody holds it.
    package static let acquireIgnoresHeldKey = Self(rawValue: 1 << 6)
    /// Raise raises the counter for somebody who does not hold the lock.
    package static let raiseIgnoresOwner = Self(rawValue: 1 << 7)
    /// Raise says that the counter stands at the end of the block, and leaves it where it was.
    package static let raiseAnswersWithoutRaising = Self(rawValue: 1 << 8)
    /// Repair takes the key from whoever has it.
    package static let repairOverwritesForeignKey = Self(rawValue: 1 << 9)
    /// Repair sets the key and leaves the counter where it was.
    package static let repairDoesNotRaiseCounter = Self(rawValue: 1 << 10)
    /// Acquire sets a key that never ends.
    package static let acquireSetsKeyWithoutTTL = Self(rawValue: 1 << 11)
    /// Enrol writes the record also where another one is than the client read.
    package static let enrolOverwritesForeignRecord = Self(rawValue: 1 << 12)
    /// Release wakes nobody who waits.
    package static let releaseWakesNobody = Self(rawValue: 1 << 13)
    /// Acquire takes the key also where others share the lock.
    package static let acquireIgnoresReaders = Self(rawValue: 1 << 14)
    /// Somebody is added to those who share the lock also where one has it alone.
    package static let sharerIgnoresHeldKey = Self(rawValue: 1 << 15)
    /// The release of one who shares the lock ends all shares.
    package static let oneSharerReleasesAll = Self(rawValue: 1 << 16)
    /// Of several locks, only the first is looked at before all are taken.
    package static let acquireAllLooksAtFirst = Self(rawValue: 1 << 17)
    /// Of several counters, only the highest is raised.
    package static let acquireAllRaisesHighestOnly = Self(rawValue: 1 << 18)
    /// The first slot is granted also where all are held.
    package static let slotIgnoresHeldKey = Self(rawValue: 1 << 19)
    /// A slot is granted to whoever believes that there are more of them.
    package static let slotIgnoresAgreement = Self(rawValue: 1 << 20)
    /// The life of a lock is set for a client that does not hold it.
    package static let setLifeIgnoresOwner = Self(rawValue: 1 << 21)

    /// Every mistake, each alone.
    package static let each: [ScriptDefects] = (0..<22).map { Self(rawValue: 1 << $0) }
}
