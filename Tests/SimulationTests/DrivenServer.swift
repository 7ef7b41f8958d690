// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockTesting

/// A simulated server with the clock that drives it, and short words for what clients ask.
struct Driven {
    final class Clock {
        var microseconds: Int64 = 1_800_000_000_000_000
    }

    let clock: Clock
    let server: SimulatedServer
    let recordID = RecordID(bits: 0x89ab_cdef_0123_4567)

    init(seed: UInt64 = 1) {
        let clock = Clock()
        self.clock = clock
        server = SimulatedServer(seed: seed) { clock.microseconds }
    }

    static func token(_ name: String) -> OwnerToken {
        guard let token = OwnerToken(secretText: String(repeating: "0", count: 32) + ":" + name) else {
            preconditionFailure("the name has control characters")
        }
        return token
    }

    static func queue(_ name: String) -> NodeCommand.WaitingQueue {
        NodeCommand.WaitingQueue(queue: "queue:\(name)", expiry: "queue-expiry:\(name)", channelPrefix: "wake:")
    }

    func enrol() {
        let command = NodeCommand.enrol(record: "node", expected: "", before: "\(recordID)", after: "reason=new")
        _ = server.execute(command, wholeScript: true)
    }

    func acquisition(by name: String, ttlMilliseconds: Int64 = 10_000) -> NodeCommand {
        let seeding = NodeCommand.Seeding(
            proposedMicroseconds: clock.microseconds,
            toleranceMicroseconds: 7_500_000
        )
        return .acquire(
            NodeCommand.Acquisition(
                record: "node",
                lock: "lock:a",
                fence: "fence:a",
                ownerToken: Self.token(name),
                ttlMilliseconds: ttlMilliseconds,
                seeding: seeding
            )
        )
    }

    /// The answer to an acquisition; `Int64.min` where it is an error.
    func acquire(by name: String, ttlMilliseconds: Int64 = 10_000) -> Int64 {
        let command = acquisition(by: name, ttlMilliseconds: ttlMilliseconds)
        return server.execute(command, wholeScript: true, recordID: recordID).integer ?? .min
    }

    func release(by name: String) -> Int64 {
        let command = NodeCommand.release(lock: "lock:a", ownerToken: Self.token(name), waking: Self.queue("a"))
        return server.execute(command, wholeScript: true).integer ?? .min
    }
}
