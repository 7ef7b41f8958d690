// SPDX-License-Identifier: Apache-2.0

package import LockCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What a client of the standard profile asks of each node to acquire one free lock and to release it again, outside of
/// any client: for a benchmark that sends the same bytes without one.
package struct UncontendedCycle {
    /// The command that ends with the id of the record of the node that it is sent to.
    package let acquire: NodeCommand
    package let release: NodeCommand

    /// The cycle of a lock that nobody else wants.
    package init(of resource: String, ttlMilliseconds: Int64, configuration: RedlockConfiguration) throws(RedlockError)
    {
        try ResourceName.validate(resource)
        let name = ResourceName(resource)
        let profile = LockProfile.standard(prefix: configuration.keyPrefix)
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let wallMilliseconds = Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
        let ownerToken = OwnerToken(
            highBits: .random(in: .min ... .max),
            lowBits: .random(in: .min ... .max),
            label: configuration.label,
            identity: .ofThisProcess,
            wallMilliseconds: wallMilliseconds
        )
        let keys = profile.keys(of: name)
        acquire = .acquire(
            NodeCommand.Acquisition(
                record: profile.recordKey,
                locks: [keys],
                ownerToken: ownerToken,
                ttlMilliseconds: ttlMilliseconds,
                seeding: NodeCommand.Seeding(
                    proposedMicroseconds: wallMilliseconds * 1_000,
                    toleranceMicroseconds: configuration.nodeTimeout.nanoseconds / 1_000
                )
            )
        )
        let releases = profile.waitingQueue(of: name).map { NodeCommand.Release(keys: keys, queue: $0) }
        release = .release(
            releases.map { [$0] } ?? [],
            ownerToken: ownerToken,
            turnMilliseconds: max(1, configuration.nodeTimeout.nanoseconds / 2_000_000),
            first: nil
        )
    }

    /// The key of the record of a node.
    package static func recordKey(configuration: RedlockConfiguration) -> String {
        LockProfile.standard(prefix: configuration.keyPrefix).recordKey
    }

    /// The id that a record begins with, if the text is one.
    package static func recordID(ofRecord text: String) -> RecordID? {
        NodeRecord(text: text)?.id
    }
}
