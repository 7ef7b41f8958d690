// SPDX-License-Identifier: Apache-2.0

import Redlock
import RedlockSimulation

/// What must be when faults have ended.
extension Simulation {
    /// Everybody gets every lock: when the quarantines are over, and whoever was told that it cannot help to try again
    /// soon has tried again.
    func everybodyGetsEverything() {
        var missing = 0
        let count = Counter()
        for member in members {
            for resource in resources {
                missing += 1
                let client = member.client
                begin(client) { [self] in
                    while !isDone {
                        let options = LockOptions(
                            ttl: .nanoseconds(scenario.maximumTTL),
                            wait: .forever,
                            label: label(of: client)
                        )
                        do {
                            let highest = judge.highestTokens(of: [resource])
                            try await client.redlock.withLock(resource, options: options) { [self] lease in
                                let holding = Judge.Holding(
                                    client: member.number,
                                    of: client,
                                    lease: lease,
                                    ttl: scenario.maximumTTL,
                                    isWatched: true
                                )
                                judge.granted(holding, after: highest)
                                judge.ended(holding)
                            }
                            count.value += 1
                            return
                        } catch {
                            try? await client.process.sleep(nanoseconds: .second)
                        }
                    }
                }
            }
        }
        let quarantine = scenario.maximumTTL * 2 + .second
        let total = missing
        runUntil(world.now + 4 * quarantine + 120 * .second) { count.value == total }
        guard judge.violation == nil, count.value < total else { return }
        judge.violated(.starved, "\(total - count.value) of \(total) locks were not obtained")
    }

    /// Everybody gives back what they have and goes; nothing must stay but what was forgotten on purpose or belonged to
    /// somebody who died.
    func lookForWhatIsLeftBehind() {
        for member in members {
            let client = member.client
            begin(client) { [self] in
                // Long enough that what is left shows.
                await giveUp(member, client, Wish(names: [world.pick(resources)]), ttl: scenario.maximumTTL)
            }
        }
        runUntil(world.now + 2 * scenario.maximumTTL + 40 * .second) { [unowned self] in openTasks == 0 }
        guard judge.violation == nil, openTasks == 0 else { return }
        // Releases that were not confirmed are tried again twice a second; what is to stay ends by itself.
        let longestRest = scenario.minimumHoldPerMille > 0 ? 2 * scenario.maximumTTL : 0
        runUntil(world.now + 2 * .second + longestRest)
        // By the clock of its node, though: where that was set back, later than can be waited for.
        let isClockSetBack = !scenario.faultKinds.isDisjoint(with: [.clockJump, .smallClockJump])
        guard longestRest == 0 || !isClockSetBack else { return }
        for node in nodes {
            for resource in resources {
                let slots = (0..<Wish.mostSlots).flatMap { node.server.owners(of: resource, slot: $0) }
                for value in node.server.owners(of: resource) + slots {
                    guard let owner = owner(of: value), !dead.contains(owner), isConnected(owner, to: node) else {
                        continue
                    }
                    judge.violated(.leftBehind, "\(resource) is left behind on node \(node.number)")
                }
            }
        }
    }
}

extension Simulation {
    /// Whether a process can reach a node by now; to one that sent what was not understood, it connects again after half a
    /// minute.
    private func isConnected(_ process: Int, to node: SimulatedNode) -> Bool {
        guard let member = members.first(where: { $0.client.process.number == process }),
            let place = nodes(ofMember: member.number).firstIndex(where: { $0 === node })
        else { return false }
        return member.client.surroundings.failure(of: place) == nil
    }

    /// The process that was to release a lock with this owner token; nil if it was to be forgotten.
    private func owner(of value: String) -> Int? {
        OwnerToken(secretText: value)?.label.flatMap { $0.hasPrefix("kept by ") ? Int($0.dropFirst(8)) : nil }
    }
}

/// `@unchecked Sendable`: it is used on the thread of its world only.
private final class Counter: @unchecked Sendable {
    var value = 0
}
