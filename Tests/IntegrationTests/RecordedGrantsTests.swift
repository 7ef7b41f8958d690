// SPDX-License-Identifier: Apache-2.0

import LocalRedis
import Redlock
import TestSupport
import Testing

/// What nodes remember of who had a lock.
@Suite(.serialized)
struct RecordedGrantsTests {
    @Test(
        "The last grants are on record with their ends, as many as were asked for, and none where none were (control)"
    )
    func grantsAreOnRecord() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            let client = try RedlockClient(nodes: redis.urls)
            let options = LockOptions(label: "a job", note: "a note", recordedGrants: 3)
            var tokens: [FencingToken] = []
            for _ in 0..<5 { tokens.append(try await client.withLock("job", options: options) { $0.fencingToken }) }
            try await client.withLock("job", options: options) { lease in
                lease.planRelease(because: "the disk\nis full")
                let open = try #require(try await client.recordedGrants(of: "job").last)
                #expect(open.fencingToken == lease.fencingToken)
                #expect(open.ended == nil && open.ending == nil)
            }
            let grants = try await client.recordedGrants(of: "job")
            #expect(grants.count == 3)
            #expect(grants.prefix(2).map(\.fencingToken) == tokens.suffix(2))
            #expect(grants.prefix(2).allSatisfy { $0.ending == "released" })
            #expect(grants.last?.ending?.contains("\n") == false)
            #expect(grants.allSatisfy { $0.holder.label == "a job" && $0.holder.note == "a note" })
            #expect(grants.allSatisfy { $0.holder.since! <= $0.ended! })
            try await client.withLock("quiet") { _ in }
            #expect(try await client.recordedGrants(of: "quiet").isEmpty)
            await client.shutdown()
        }
    }

    @Test(
        "A grant is on record with its loss, and one whose holder was gone has no end; one node is enough to know of it"
    )
    func lossIsOnRecord() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await RedlockClient.enrolNewSet(nodes: redis.urls)
            let client = try RedlockClient(nodes: redis.urls)
            let options = LockOptions(ttl: .seconds(1), recordedGrants: 8)
            let lease = try await client.acquire("job", options: options, renewal: .automatic)
            let other = try RedlockClient(nodes: redis.urls)
            #expect(try await other.releaseByForce(try await other.inspect("job")))
            #expect(await lease.ended())
            try await eventually {
                try await other.recordedGrants(of: "job").last?.ending == "lost: a quorum of nodes no longer has it"
            }
            let forgotten = try await client.acquire("job", options: options)
            await forgotten.detach()
            #expect(try await other.recordedGrants(of: "job").last?.ending == "given away")
            for server in redis.servers.prefix(2) { try await server.send("DEL", "redlock:records:job") }
            #expect(try await other.recordedGrants(of: "job").count == 2)
            await other.shutdown()
            await client.shutdown()
        }
    }

    @Test
    func recordsAreForOneNameToBeHadAlone() async throws {
        let client = try RedlockClient(nodes: ["redis://127.0.0.1:1"])
        for options in [LockOptions(recordedGrants: 33), LockOptions(recordedGrants: -1), LockOptions(priority: 101)] {
            let error = await #expect(throws: RedlockError.self) {
                try await client.withLock("a", options: options) { _ in }
            }
            #expect(error?.code == .invalidArgument)
        }
        let options = LockOptions(recordedGrants: 1)
        let several = await #expect(throws: RedlockError.self) {
            try await client.withLock(["a", "b"], options: options) { _ in }
        }
        #expect(several?.code == .invalidArgument)
        let compatible = try CompatibleRedlockClient(nodes: ["redis://127.0.0.1:1"])
        let refused = await #expect(throws: RedlockError.self) {
            try await compatible.withLock("a", options: options) { _ in }
        }
        #expect(refused?.code == .invalidArgument)
    }
}
