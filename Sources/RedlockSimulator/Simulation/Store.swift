// SPDX-License-Identifier: Apache-2.0

import RedlockSimulation

/// A store that clients write to under a lock, over a network of its own: a counter for each resource.
///
/// One half compares fencing tokens, and must not lose an update; the other takes whatever comes, and shows what would
/// happen without them.
///
/// `@unchecked Sendable`: it is used on the thread of its world only.
final class Store: @unchecked Sendable {
    private struct Row {
        var highestToken: Int64 = 0
        var value = 0
        var acceptedWrites = 0
    }

    private let world: SimulatedWorld
    private let judge: Judge
    private let delays: ClosedRange<Int64>
    private var compared: [String: Row] = [:]
    private var uncompared: [String: Row] = [:]
    /// How often a stale client was turned away.
    private(set) var refusals = 0

    init(world: SimulatedWorld, judge: Judge, delays: ClosedRange<Int64>) {
        self.world = world
        self.judge = judge
        self.delays = delays
    }

    /// How many updates the half without comparison has lost.
    var updatesLostWithoutTokens: Int {
        uncompared.values.reduce(0) { $0 + $1.acceptedWrites - $1.value }
    }

    /// Adds one to the counters of a resource: reads, thinks, and writes, each on its way through the network.
    func increment(_ resource: String, token: Int64, in process: SimulatedProcess, thinking: Int64) async {
        let (value, other) = await travel(process) { [self] in
            // The dead do not write.
            guard !process.isDead else { return (0, 0) }
            // A reader shows its token too: what it reads must not change behind its back.
            let row = compared[resource, default: Row()]
            compared[resource, default: Row()].highestToken = max(row.highestToken, token)
            return (row.value, uncompared[resource, default: Row()].value)
        }
        try? await process.sleep(nanoseconds: thinking)
        await travel(process) { [self] in
            guard !process.isDead else { return }
            uncompared[resource, default: Row()].value = other + 1
            uncompared[resource]?.acceptedWrites += 1
            guard token >= compared[resource]?.highestToken ?? 0 else {
                refusals += 1
                return
            }
            compared[resource]?.highestToken = token
            compared[resource]?.value = value + 1
            compared[resource]?.acceptedWrites += 1
            world.note(token, "the store takes \(value + 1) of \(resource) with token \(token)")
            guard let row = compared[resource], row.value != row.acceptedWrites, judge.claimsStrictTokenOrder else {
                return
            }
            judge.violated(.lostUpdate, "\(resource) is \(row.value) after \(row.acceptedWrites) writes")
        }
    }

    private func travel<Value: Sendable>(
        _ process: SimulatedProcess,
        _ work: @escaping @Sendable () -> Value
    ) async -> Value {
        let (there, back) = (world.number(in: delays), world.number(in: delays))
        return await withUnsafeContinuation { continuation in
            world.schedule(after: there) { [world] in
                let value = work()
                world.schedule(after: back) { continuation.resume(returning: value) }
            }
        }
    }
}
