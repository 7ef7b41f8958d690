// SPDX-License-Identifier: Apache-2.0

#if SQLite && PostgreSQL && os(Linux)

    import Foundation
    import GRDB
    import LeaderElection
    import LocalRedis
    import Redlock
    import TestSupport
    import Testing

    /// How much is done to the candidates of one election.
    struct TrialScale {
        var processes: Int
        var candidatesPerProcess: Int
        var kills: Int
        var stops: Int
        /// How often so many nodes are gone that nobody can lead.
        var outages: Int
        var leaseDuration: Duration

        static let full = TrialScale(
            processes: 10,
            candidatesPerProcess: 5,
            kills: 40,
            stops: 40,
            outages: 10,
            leaseDuration: .seconds(3)
        )
        static let short = TrialScale(
            processes: 3,
            candidatesPerProcess: 2,
            kills: 2,
            stops: 2,
            outages: 1,
            leaseDuration: .seconds(2)
        )

        /// The full scale where the environment asks for it.
        static var wanted: TrialScale {
            ProcessInfo.processInfo.environment["REDLOCK_ELECTION_TRIAL"] == "full" ? .full : .short
        }

        /// How long candidates wait between two campaigns.
        var retryPeriod: Duration { leaseDuration * 2 / 15 }
    }

    /// Candidates in many processes, on five servers, and everything that can befall them.
    final class ElectionTrial {
        let scale: TrialScale
        let log = TrialLog()
        private let redis: LocalRedisSet
        private let clocks: [ClockShim]
        private let arguments: [String]
        private let observer: LeaderElector
        private let client: RedlockClient
        private let database: DatabaseQueue
        private var processes: [TrialProcess] = []
        private(set) var failovers: [Duration] = []
        private(set) var handovers: [Duration] = []
        /// Of kills while a quarantine may withhold the quorum.
        private(set) var failoversInQuarantine: [Duration] = []
        private(set) var endsInOutages: [Duration] = []

        init(_ scale: TrialScale, _ redis: LocalRedisSet, clocks: [ClockShim], sqlite: String, postgreSQL: String)
            async throws
        {
            self.scale = scale
            self.redis = redis
            self.clocks = clocks
            var probing = GRDB.Configuration()
            probing.busyMode = .timeout(0.2)
            database = try DatabaseQueue(path: sqlite, configuration: probing)
            var configuration = RedlockConfiguration()
            configuration.maximumTTL = scale.leaseDuration
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: configuration)
            client = try RedlockClient(nodes: redis.urls, configuration: configuration)
            var times = ElectionConfiguration()
            times.leaseDuration = scale.leaseDuration
            times.renewDeadline = scale.leaseDuration * 2 / 3
            times.retryPeriod = scale.retryPeriod
            observer = try LeaderElector(client, name: "trial", identity: "observer", configuration: times)
            arguments = [
                "\(scale.candidatesPerProcess)", "\(scale.leaseDuration / .seconds(1))",
                redis.urls.joined(separator: ","),
                sqlite, postgreSQL,
            ]
        }

        // MARK: The course of events

        func run() async throws {
            for number in 0..<scale.processes { processes.append(try process(number)) }
            try await everybodyCampaigns()
            for _ in 0..<scale.kills { failovers.append(try await killLeader()) }
            for _ in 0..<scale.stops { try await stopLeader() }
            try await loseTwoNodes()
            try await loseAllThatANodeKnows()
            try await stepClocks()
            for _ in 0..<scale.outages { try await takeQuorumAway() }
            try await everybodyLeads()
        }

        func end() async {
            for process in processes { process.end() }
            await client.shutdown()
        }

        private func process(_ number: Int) throws -> TrialProcess {
            try TrialProcess(number, arguments: arguments, log: log)
        }

        private func everybodyCampaigns() async throws {
            let count = scale.processes * scale.candidatesPerProcess
            try await eventually("all candidates campaign", within: .seconds(60)) {
                try await observer.candidates().count == count
            }
            try await somebodyLeads(after: 0)
        }

        /// A crash of the leader's process.
        private func killLeader() async throws -> Duration {
            let (leader, process) = try currentLeader()
            let died = DispatchTime.now().uptimeNanoseconds
            process.end()
            let next = try await somebodyLeads(after: leader.term)
            processes[process.number] = try self.process(process.number)
            try await everybodyCampaigns()
            return .nanoseconds(Int64(next.nanoseconds) - Int64(died))
        }

        /// The leader's process stands still for three lease durations; meanwhile others lead, and hand over to each other.
        private func stopLeader() async throws {
            let leader = try await stopOutsideOfTransaction()
            let process = processes[Self.process(of: leader.identity)]
            let end = ContinuousClock.now + scale.leaseDuration * 3
            try await somebodyLeads(after: leader.term)
            for _ in 0..<2 { try await handOver(otherThanIn: process.number) }
            try await Task.sleep(until: end)
            process.resume()
            try await everybodyCampaigns()
        }

        /// Stops the leader's process where it does not keep everybody else from the database, as nobody could write then.
        private func stopOutsideOfTransaction() async throws -> TrialLog.Beginning {
            while true {
                let (leader, process) = try currentLeader()
                process.stop()
                // With something to commit, which needs the database for itself.
                if (try? await database.write { try $0.execute(sql: "UPDATE probe SET n = n + 1") }) != nil {
                    return leader
                }
                process.resume()
                try await Task.sleep(for: .milliseconds(.random(in: 1...10)))
            }
        }

        private func loseTwoNodes() async throws {
            for server in redis.servers.prefix(2) { await server.kill() }
            for _ in 0..<3 { try await handOver() }
            failoversInQuarantine.append(try await killLeader())
            for server in redis.servers.prefix(2) { try await server.start() }
            failoversInQuarantine.append(try await killLeader())
            try await quarantinesEnd()
        }

        private func loseAllThatANodeKnows() async throws {
            try await redis.servers[2].restart(.emptied)
            try await handOver()
            failoversInQuarantine.append(try await killLeader())
            try await quarantinesEnd()
        }

        private func stepClocks() async throws {
            for (index, distance) in [(0, Duration.seconds(3_600)), (4, .seconds(-3_600))] {
                clocks[index].jumpWallClock(by: distance)
                try await handOver()
                failoversInQuarantine.append(try await killLeader())
                clocks[index].jumpWallClock(by: .zero - distance)
                try await handOver()
                try await quarantinesEnd()
            }
        }

        /// Three of five nodes do not answer: whoever leads stops in time, and somebody leads when they are back.
        private func takeQuorumAway() async throws {
            let (leader, _) = try currentLeader()
            let began = log.ends.count
            for server in redis.servers.prefix(3) { try await server.pause() }
            try await eventually("the leader stops") { log.ends.count > began }
            for server in redis.servers.prefix(3) { try await server.resume() }
            for end in log.ends.dropFirst(began) where end.term == leader.term {
                endsInOutages.append(.nanoseconds(end.nanosecondsLeft))
            }
            try await somebodyLeads(after: leader.term)
            try await quarantinesEnd()
        }

        /// Whatever befell a candidate, it can lead.
        private func everybodyLeads() async throws {
            try await everybodyCampaigns()
            for process in 0..<scale.processes {
                for number in 0..<scale.candidatesPerProcess { try await handOver(to: "\(process).\(number)") }
            }
        }

        // MARK: Steps

        private func currentLeader() throws -> (TrialLog.Beginning, TrialProcess) {
            let leader = try #require(log.leader)
            return (leader, processes[Self.process(of: leader.identity)])
        }

        private static func process(of identity: String) -> Int {
            Int(identity.prefix { $0 != "." }) ?? 0
        }

        @discardableResult
        private func somebodyLeads(after term: Int64) async throws -> TrialLog.Beginning {
            try await eventually("somebody leads after term \(term)", within: .seconds(60)) {
                log.leader.map { $0.term > term } ?? false
            }
            return try #require(log.beginnings.filter { $0.term > term }.min { $0.term < $1.term })
        }

        private func handOver(otherThanIn stopped: Int? = nil) async throws {
            let leader = try #require(log.leader)
            let others = try await observer.candidates().map(\.candidate.identity).filter {
                $0 != leader.identity && Self.process(of: $0) != stopped
            }
            try await handOver(to: try #require(others.randomElement()))
        }

        /// Hands over, and notes for how long nobody led.
        private func handOver(to identity: String) async throws {
            let former = try #require(log.leader)
            guard former.identity != identity else { return }
            try await observer.handOver(to: identity, within: .seconds(30))
            try await eventually("\(identity) leads") { log.leader?.identity == identity }
            guard let next = log.leader, let end = log.ends.last(where: { $0.term == former.term }) else { return }
            handovers.append(.nanoseconds(Int64(next.nanoseconds) - Int64(end.nanoseconds)))
        }

        private func quarantinesEnd() async throws {
            try await eventually("all nodes vote", within: .seconds(60)) {
                try await client.diagnose().allVotesCount
            }
        }
    }

#endif
