// SPDX-License-Identifier: Apache-2.0

import LeaderElection
import Redlock
import RedlockSimulation

/// Candidates of one election: the elector of the library, unchanged.
///
/// Never two have a valid term at a time, each term has a higher number than every one before, and when faults have ended
/// somebody leads.
extension Simulation {
    static let election = "election"

    /// Has a member campaign until its process dies or nobody begins work any more.
    func beginCampaign(of member: Member) {
        let client = member.client
        begin(client) { [self] in
            let campaign = client.run { [self] in
                do {
                    let elector = try elector(of: member, client)
                    try await elector.run { [self] term in try await lead(under: term, member, client, elector) }
                } catch is CancellationError {
                } catch {
                    // What ends a campaign for good is the end of the client, or a set of nodes that cannot be used.
                    world.note(
                        Int64(client.process.number),
                        "process \(client.process.number) campaigns no more: \(error)"
                    )
                }
            }
            while isOpen, member.client === client {
                try? await client.process.sleep(nanoseconds: scenario.maximumTTL / 8)
            }
            campaign.cancel()
            await campaign.value
        }
    }

    private func elector(of member: Member, _ client: SimulatedClient) throws -> LeaderElector {
        let process = client.process
        return try LeaderElector(
            client.redlock,
            name: Self.election,
            identity: Self.identity(of: member.number),
            priority: Int(world.number(in: -1...1)),
            configuration: electionTimes,
            isEligible: { [world] in !world.happens(perMille: 20) },
            surroundings: ElectionSurroundings(
                sleep: { try await process.sleep(nanoseconds: Int64($0 / .nanoseconds(1))) },
                now: { client.surroundings.clockInstant(of: process.now) },
                executor: process.executor,
                chance: { [world] in Double(world.number(in: 0...1_000)) / 1_000 }
            )
        )
    }

    private static func identity(of member: Int) -> String { "member \(member)" }

    private var electionTimes: ElectionConfiguration {
        var times = ElectionConfiguration()
        times.leaseDuration = .nanoseconds(scenario.maximumTTL)
        times.renewDeadline = times.leaseDuration * 2 / 3
        times.retryPeriod = times.leaseDuration * 2 / 15
        return times
    }

    /// Leads for a while, and then returns, resigns, hands over, or leads on until the term is lost.
    private func lead(under term: Term, _ member: Member, _ client: SimulatedClient, _ elector: LeaderElector)
        async throws
    {
        let holding = Judge.Holding(
            client: member.number,
            of: client,
            lease: term,
            ttl: scenario.maximumTTL,
            isWatched: true
        )
        termCount += 1
        judge.granted(holding, after: judge.highestTokens(of: [Self.election]))
        defer { judge.ended(holding) }
        let isStubborn = world.happens(perMille: 100)
        for _ in 0..<world.number(in: 1...12) {
            await store.increment(
                Self.election,
                token: term.number.rawValue,
                in: client.process,
                thinking: world.number(in: 0...scenario.maximumTTL / 8)
            )
            judge.look(at: holding, isCancelled: Task.isCancelled)
            try? await client.process.sleep(nanoseconds: world.number(in: 0...scenario.maximumTTL / 4))
            judge.look(at: holding, isCancelled: Task.isCancelled)
            if Task.isCancelled, !isStubborn { throw CancellationError() }
            switch world.number(in: 0...19) {
            case 0: elector.resign()
            case 1: askForHandover(member, client, elector)
            default: break
            }
        }
    }

    /// Asks for another member to lead, which may not even campaign.
    private func askForHandover(_ member: Member, _ client: SimulatedClient, _ elector: LeaderElector) {
        let successor = Self.identity(of: Int(world.number(in: 0...Int64(scenario.clientCount - 1))))
        begin(client) { [self] in
            try? await elector.handOver(to: successor, within: .nanoseconds(scenario.maximumTTL))
        }
    }

    /// Somebody leads: when the quarantines are over, and whoever led before has been given up.
    func somebodyLeads() {
        calmDown()
        let before = termCount
        let quarantine = scenario.maximumTTL * 2 + .second
        runUntil(world.now + 4 * quarantine + 120 * .second) { [unowned self] in termCount > before }
        guard judge.violation == nil, termCount == before else { return }
        judge.violated(.starved, "nobody leads")
    }
}

extension Term: JudgedLease {
    var resource: String { election }
    var resources: [String] { [election] }
    var slot: Int? { nil }
    var judgedToken: Int64? { number.rawValue }
}
