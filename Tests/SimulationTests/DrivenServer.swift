// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import Redlock
import RedlockSimulation

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
        server = SimulatedServer(seed: seed, interpreter: ScriptInterpreter()) { clock.microseconds }
    }

    static func token(_ name: String) -> OwnerToken {
        guard let token = OwnerToken(secretText: String(repeating: "0", count: 32) + ":" + name) else {
            preconditionFailure("the name has control characters")
        }
        return token
    }

    static func queue(_ name: String) -> NodeCommand.WaitingQueue {
        NodeCommand.WaitingQueue(prefix: "", name: name)
    }

    static func keys(_ name: String) -> NodeCommand.LockKeys {
        NodeCommand.LockKeys(prefix: "", name: name)
    }

    static func release(_ names: String..., by ownerToken: OwnerToken) -> NodeCommand {
        let releases = names.map { NodeCommand.Release(keys: keys($0), queue: queue($0)) }
        return .release(releases, ownerToken: ownerToken, turnMilliseconds: 50, first: nil)
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
                locks: [Self.keys("a")],
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
        let command = Self.release("a", by: Self.token(name))
        return server.execute(command, wholeScript: true).integer ?? .min
    }
}
