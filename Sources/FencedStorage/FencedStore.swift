// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// A store that remembers the highest fencing token of every resource, and refuses a lower one in the same step as the
/// write.
///
/// That is what makes a lock safe to write under. Whoever holds a lease may be stopped for any time, between the last
/// look at the clock and the write, and go on when somebody else has the lock. With the token where the data is, such a
/// write changes nothing and fails with ``StaleGrantError``.
///
/// What all stores promise:
/// - A write with a token as high as the highest that was written with, or higher, is carried out, and its token is the
///   highest from then on. So one holder may write as often as it likes.
/// - A write with a lower token changes nothing.
/// - The comparison, the write and the new highest token are one step: nothing comes between them, and a crash leaves all
///   of it or nothing. Where a store cannot undo the write, the token is kept first: then a crash leaves the token of a
///   write that did not happen, which refuses nobody but those that are stale.
///
/// A store that forgets, for example one that was restored from an old copy, forgets the tokens along with the data.
///
/// `RedlockTesting` has a suite, `FencedStoreConformance`, that tries all this on a store.
public protocol FencedStore: Sendable {
    /// What is carried out in one step with the comparison: statements, a command, the contents of a file.
    associatedtype Write: Sendable

    /// Carries out a write, unless somebody with a higher token wrote before.
    ///
    /// - Throws: ``StaleGrantError`` if so; what the store throws otherwise.
    func apply(_ write: Write, under grant: some FencedGrant) async throws

    /// The highest token that was written with; nil if nothing was written under a grant of the resource.
    ///
    /// - Parameter resource: one of ``FencedGrant/fencedResources``.
    func highestToken(of resource: String) async throws -> FencingToken?
}
