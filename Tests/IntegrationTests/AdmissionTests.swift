// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import RedisTransport
import Redlock
import TestSupport
import Testing

/// What a node may do that makes its vote worthless, and that it has none then; each with the control, in which
/// nobody looks and two hold the lock.
@Suite(.serialized)
struct AdmissionTests {
    /// The shared node of two quorums is killed and comes back empty at once.
    @Test
    func restartedEmptyNodeHasNoVote() async throws {
        let guarded = try await doubleHolders(of: RedlockClient.self, rounds: 200) { shared in
            await shared.kill()
            try await shared.restart()
        }
        #expect(guarded == 0)
    }

    @Test
    func restartedEmptyNodeMakesTwoHoldersWhereNobodyLooks() async throws {
        let unguarded = try await doubleHolders(of: CompatibleRedlockClient.self, rounds: 5) { shared in
            await shared.kill()
            try await shared.restart()
        }
        #expect(unguarded > 0)
    }

    /// The node is emptied while the second client has a connection to it and believes to know it.
    @Test
    func emptiedNodeHasNoVote() async throws {
        let guarded = try await doubleHolders(of: RedlockClient.self, rounds: 300) { shared in
            _ = try await shared.send("FLUSHALL")
        }
        #expect(guarded == 0)
    }

    @Test
    func emptiedNodeMakesTwoHoldersWhereNobodyLooks() async throws {
        let unguarded = try await doubleHolders(of: CompatibleRedlockClient.self, rounds: 5) { shared in
            _ = try await shared.send("FLUSHALL")
        }
        #expect(unguarded > 0)
    }

    /// Counts how often two clients hold one lock, when the node that their quorums share forgets.
    ///
    /// The first client holds the lock on the nodes 0 and 2, the second asks when node 2 has forgotten: every other time
    /// with a connection from before, else as a new client.
    private func doubleHolders<Client: LockClient>(
        of type: Client.Type,
        rounds: Int,
        whenSharedNodeForgets forget: (LocalRedisServer) async throws -> Void
    ) async throws -> Int {
        try await withLocalRedis(nodes: 3) { redis in
            var doubleHolders = 0
            for round in 0..<rounds {
                for server in redis.servers { _ = try await server.send("FLUSHALL") }
                try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: .patient)
                let first = try Client(nodes: redis.urls, configuration: .patient, logger: .tracing)
                let second = try Client(nodes: redis.urls, configuration: .patient, logger: .tracing)
                if round % 2 == 0 { await (try await second.acquire("warm")).release() }
                let lease = try await first.acquire("shared")
                // A quorum is two of three: the nodes that it shall have are not always the two that were quicker.
                for server in [redis[0], redis[2]] {
                    try await eventually { try await server.send("EXISTS", "shared", "shared".lockKey) == "1" }
                }
                for key in ["shared", "shared".lockKey] { _ = try await redis[1].send("DEL", key) }
                try await forget(redis[2])
                let end = ContinuousClock.now + .milliseconds(60)
                while ContinuousClock.now < end {
                    // Without a quorum of votes the second client is told so; that is as good as a refusal.
                    if let rival = try? await second.tryAcquire("shared") {
                        if lease.isValid { doubleHolders += 1 }
                        await rival.release()
                        break
                    }
                    try await Task.sleep(for: .milliseconds(2))
                }
                await lease.release()
                await first.shutdown()
                await second.shutdown()
            }
            return doubleHolders
        }
    }

    /// The holder notices at its next renewal, and nobody else is granted before every lock that the nodes may have
    /// forgotten has ended.
    @Test
    func majorityThatIsEmptiedServesTheQuarantine() async throws {
        let (lost, granted) = try await timesAfterEmptying(RedlockClient.self, nodes: [0, 1])
        #expect(lost < .milliseconds(900), "TTL / 3 after the last renewal")
        #expect(granted > .milliseconds(3000), "the longest TTL, the drift and a second")
        #expect(granted < .seconds(8))
    }

    @Test
    func majorityThatIsEmptiedGrantsAtOnceWhereNobodyLooks() async throws {
        let (lost, granted) = try await timesAfterEmptying(CompatibleRedlockClient.self, nodes: [0, 1])
        #expect(granted < lost || granted < .milliseconds(500))
    }

    /// How long after a majority was emptied the holder knew of its loss, and a rival was granted the lock.
    private func timesAfterEmptying<Client: LockClient>(
        _ type: Client.Type,
        nodes: [Int]
    ) async throws -> (lost: Duration, granted: Duration) {
        let configuration = RedlockConfiguration.briefQuarantine
        return try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: configuration)
            let holder = try Client(nodes: redis.urls, configuration: configuration, logger: .tracing)
            let rival = try Client(nodes: redis.urls, configuration: configuration, logger: .tracing)
            await (try await rival.acquire("warm", options: LockOptions(ttl: .seconds(1)))).release()
            let lease = try await holder.acquire(
                "emptied",
                options: LockOptions(ttl: .milliseconds(1500)),
                renewal: .automatic
            )
            let began = ContinuousClock.now
            for node in nodes { _ = try await redis[node].send("FLUSHALL") }
            async let lost = {
                _ = await lease.ended()
                return ContinuousClock.now - began
            }()
            let options = LockOptions(ttl: .milliseconds(1500), wait: .atMost(.seconds(15)))
            let theirs = try await rival.acquire("emptied", options: options)
            let granted = ContinuousClock.now - began
            await theirs.release()
            await lease.release()
            let times = (lost: await lost, granted: granted)
            await holder.shutdown()
            await rival.shutdown()
            return times
        }
    }

    // MARK: Rules

    @Test
    func durableNodeKeepsItsVoteAfterARestart() async throws {
        try await Layout.three.withClient(persistence: .appendOnlyAlways) { client, redis in
            for server in redis.servers {
                await server.kill()
                try await server.restart()
            }
            let options = LockOptions(wait: .atMost(.seconds(5)))
            let lease = try await client.acquire("survivor", options: options)
            await lease.release()
            try await eventually { try await client.diagnose().allVotesCount }
        }
    }

    /// AOF with fsync every second loses nothing when the process is killed, but nobody can know that it was no more.
    @Test
    func nodeThatIsNotProvablyDurableServesTheQuarantine() async throws {
        var options = LocalRedisOptions(persistence: .appendOnlyAlways)
        options.extraConfiguration = ["appendfsync everysec"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let client = try await RedlockClient.enrolled(redis, configuration: .briefQuarantine)
            let lease = try await client.acquire("kept", options: .brief)
            await redis[2].kill()
            try await redis[2].restart()
            try await client.waitUntilAllNodesAnswer()
            try await expectRefusal(of: 2, by: client, saying: "in quarantine", "restarted")
            // In quarantine it still counts for the lease that it has.
            try await lease.extend()
            await lease.release()
            try await eventually { try await client.diagnose().allVotesCount }
            await client.shutdown()
        }
    }

    @Test
    func evictingNodeHasNoVote() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["maxmemory 100mb", "maxmemory-policy noeviction"]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let client = try await RedlockClient.enrolled(redis)
            _ = try await redis[1].send("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
            let fresh = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            try await expectRefusal(of: 1, by: fresh, saying: "evicts keys", "noeviction")
            _ = try await redis[1].send("CONFIG", "SET", "maxmemory-policy", "noeviction")
            try await eventually { try await fresh.diagnose().allVotesCount }
            await fresh.shutdown()
            await client.shutdown()
        }
    }

    @Test
    func replicaHasNoVoteAndServesTheQuarantineOncePromoted() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            let nodes = redis.urls
            try await RedlockClient.enrolNewSet(nodes: nodes, configuration: .briefQuarantine)
            // There is no such master, so that the data and the record stay.
            _ = try await redis[2].send("REPLICAOF", "127.0.0.1", "1")
            let client = try RedlockClient(nodes: nodes, configuration: .briefQuarantine, logger: .tracing)
            try await expectRefusal(of: 2, by: client, saying: "replica")
            await (try await client.acquire("wanted", options: .brief)).release()
            _ = try await redis[2].send("REPLICAOF", "NO", "ONE")
            try await expectRefusal(of: 2, by: client, saying: "in quarantine", "became a master")
            try await eventually { try await client.diagnose().allVotesCount }
            await client.shutdown()
        }
    }

    @Test
    func serverThatIsListedTwiceHasNoVote() async throws {
        try await withLocalRedis(nodes: 2) { redis in
            let nodes = [redis[0].url, "redis://localhost:\(redis[0].port)", redis[1].url]
            let error = await #expect(throws: RedlockError.self) {
                try await RedlockClient.enrolNewSet(nodes: nodes, configuration: .patient)
            }
            #expect(error?.code == .enrolmentRefused)
            #expect(error?.description.contains("the same server as") == true)
            let client = try RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
            let refusal = await #expect(throws: RedlockError.self) { try await client.acquire("twin", options: .once) }
            #expect(refusal?.description.contains("the same server as") == true)
            await client.shutdown()
        }
    }

    @Test
    func clientWithAnotherListHasNoQuorum() async throws {
        try await withLocalRedis(nodes: 5) { redis in
            let right = Array(redis.urls.prefix(3))
            try await RedlockClient.enrolNewSet(nodes: right, configuration: .patient)
            for wrong in [Array(redis.urls.suffix(3)), redis.urls, Array(redis.urls.prefix(1))] {
                let client = try RedlockClient(nodes: wrong, configuration: .patient, logger: .tracing)
                let error = await #expect(throws: RedlockError.self) { try await client.acquire("a", options: .once) }
                #expect(error?.code == .quorumUnavailable)
                #expect(
                    error?.description.contains("other members") == true
                        || error?.description.contains("its record says") == true
                )
                await client.shutdown()
            }
            // A client with the wrong list wrote nothing where it had no business.
            #expect(try await redis[3].send("EXISTS", "redlock:node") == "0")
            let client = try RedlockClient(nodes: right, configuration: .patient, logger: .tracing)
            await (try await client.acquire("a", options: .once)).release()
            await client.shutdown()
        }
    }

    @Test
    func clientThatMayAskForLongerTTLsHasNoQuorum() async throws {
        try await Layout.three.withClient { client, redis in
            var longer = RedlockConfiguration.patient
            longer.maximumTTL = .seconds(60)
            let other = try RedlockClient(nodes: redis.urls, configuration: longer, logger: .tracing)
            let error = await #expect(throws: RedlockError.self) { try await other.acquire("a", options: .once) }
            #expect(error?.description.contains("maximum TTL of 30000 ms") == true)
            await other.shutdown()
            var shorter = RedlockConfiguration.patient
            shorter.maximumTTL = .seconds(10)
            let third = try RedlockClient(nodes: redis.urls, configuration: shorter, logger: .tracing)
            await (try await third.acquire("a", options: .once)).release()
            await third.shutdown()
        }
    }

    /// A client with a shorter longest TTL enrols a node anew, and must not shorten it for the others.
    @Test
    func longestTTLIsKeptWhenTheLastRecordIsRenewed() async throws {
        var options = LocalRedisOptions(persistence: .appendOnlyAlways)
        options.extraConfiguration = ["appendfsync everysec"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            var longer = RedlockConfiguration.patient
            longer.maximumTTL = .seconds(60)
            try await RedlockClient.enrolNewSet(nodes: redis.urls, configuration: longer)
            await redis[0].kill()
            try await redis[0].restart()
            let client = try RedlockClient(nodes: redis.urls, configuration: .patient, logger: .tracing)
            #expect(try await client.diagnose().nodes[0].reason?.contains("restarted") == true)
            // Looking has changed nothing; asking for a lock does.
            #expect(try await redis[0].send("GET", "redlock:node")?.contains("reason=requested") == true)
            await #expect(throws: RedlockError.self) { try await client.acquire("a", options: .once) }
            try await expectRefusal(of: 0, by: client, saying: "in quarantine", "restarted")
            #expect(try await redis[0].send("GET", "redlock:node")?.contains("maximum-ttl=60000") == true)
            await client.shutdown()
        }
    }

    /// A node that gets another name, and one of three that is replaced, are enrolled anew; a majority is not replaced.
    @Test
    func setIsUpdated() async throws {
        try await withLocalRedis(nodes: 5) { redis in
            let old = Array(redis.urls.prefix(3))
            try await RedlockClient.enrolNewSet(nodes: old, configuration: .patient)
            let replaced = try [redis.urls[0] + "#a", redis.urls[1] + "#b", redis.urls[3] + "#d"].map(
                RedisEndpoint.init
            )
            let quarantine = try await RedlockClient.updateSet(endpoints: replaced, configuration: .patient)
            #expect(quarantine > .seconds(31))
            let client = try RedlockClient(endpoints: replaced, configuration: .patient, logger: .tracing)
            try await expectRefusal(of: 2, by: client, saying: "in quarantine", "operator")
            await client.shutdown()
            let former = try RedlockClient(nodes: old, configuration: .patient, logger: .tracing)
            await #expect(throws: RedlockError.self) { try await former.acquire("a", options: .once) }
            await former.shutdown()
            let others = try [redis.urls[0] + "#a", redis.urls[2] + "#c", redis.urls[4] + "#e"].map(RedisEndpoint.init)
            let error = await #expect(throws: RedlockError.self) {
                try await RedlockClient.updateSet(endpoints: others, configuration: .patient)
            }
            #expect(error?.code == .enrolmentRefused)
            #expect(error?.message.contains("majority") == true)
        }
    }

    /// A user who may neither run INFO nor CONFIG: what cannot be read counts as not durable, and restarts are told by a
    /// script that only the server's memory has.
    @Test
    func leastPrivileges() async throws {
        var options = LocalRedisOptions(persistence: .appendOnlyAlways)
        options.extraConfiguration = [
            "user default on nopass ~* &* +@all",
            "user locker on >open-sesame resetkeys ~redlock:* resetchannels -@all "
                + "+set +get +del +exists +incrby +pexpire +pttl +time +eval +evalsha +script|load",
        ]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let nodes = redis.servers.map { "redis://locker:open-sesame@127.0.0.1:\($0.port)" }
            let client = try RedlockClient(nodes: nodes, configuration: .briefQuarantine, logger: .tracing)
            let wait = LockOptions(ttl: .seconds(1), wait: .atMost(.seconds(10)))
            let lease = try await client.acquire("report", options: wait)
            #expect(lease.fencingToken.rawValue > 0)
            try await lease.extend()
            await lease.release()
            let diagnosis = try await client.diagnose()
            let durability = diagnosis.nodes[0].findings.first { $0.assumption == .durability }
            #expect(durability?.verdict == .unknown)
            #expect(durability?.remedy?.contains("+info") == true)
            // A new connection to the same process needs no quarantine.
            let second = try RedlockClient(nodes: nodes, configuration: .briefQuarantine, logger: .tracing)
            await (try await second.acquire("report", options: LockOptions(ttl: .seconds(1), wait: .none))).release()
            await redis[0].kill()
            try await redis[0].restart()
            try await second.waitUntilAllNodesAnswer()
            try await expectRefusal(of: 0, by: second, saying: "in quarantine", "restarted")
            await second.shutdown()
            await client.shutdown()
        }
    }

    private func expectRefusal(
        of node: Int,
        by client: RedlockClient,
        saying texts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await eventually(sourceLocation: sourceLocation) {
            let diagnosis = try await client.diagnose()
            return !diagnosis.nodes[node].hasVote
                && texts.allSatisfy { diagnosis.nodes[node].reason?.contains($0) == true }
        }
    }
}

extension RedlockConfiguration {
    /// Locks that live for 2 s at most, so that a node is in quarantine for no more than about 3 s.
    static var briefQuarantine: RedlockConfiguration {
        var configuration = patient
        configuration.maximumTTL = .seconds(2)
        return configuration
    }
}

extension LockOptions {
    /// For clients with a brief quarantine.
    static let brief = LockOptions(ttl: .seconds(2))
}
