// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import RedisTransport
import Redlock
import TestSupport
import Testing

/// The ways to reach a server and to sign in to it.
@Suite(.serialized)
struct ConnectionTests {
    @Test
    func unixSocket() async throws {
        try await withLocalRedis(nodes: 3) { redis in
            try await expectLock(nodes: redis.servers.map(\.unixSocketURL))
        }
    }

    @Test
    func databaseAndName() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            let client = try CompatibleRedlockClient(nodes: [redis[0].url + "/3"], logger: .tracing)
            let lease = try await client.acquire("numbered")
            #expect(try await redis[0].send("EXISTS", "numbered") == "0")
            #expect(try await redis[0].send("INFO", "keyspace")?.contains("db3:keys=1") == true)
            #expect(try await redis[0].send("CLIENT", "LIST")?.contains("name=redlock") == true)
            await lease.release()
            await client.shutdown()
        }
    }

    @Test
    func nameWithSeveralAddresses() async throws {
        try await withLocalRedis(nodes: 1) { redis in
            // The server listens on 127.0.0.1 alone; where the name also stands for ::1, the other address is tried.
            try await expectLock(nodes: ["redis://localhost:\(redis[0].port)"])
        }
    }

    @Test
    func passwordIsNeverShown() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = ["requirepass open-sesame"]
        try await withLocalRedis(nodes: 1, options: options) { redis in
            let port = redis[0].port
            try await expectLock(nodes: ["redis://:open-sesame@127.0.0.1:\(port)"])
            let wrong = try await expectRefusal(nodes: ["redis://:hunter2@127.0.0.1:\(port)"])
            #expect(wrong.description.contains("refused the user or the password"))
            let none = try await expectRefusal(nodes: ["redis://127.0.0.1:\(port)"])
            #expect(none.description.contains("wants a password"))
            for text in ["\(wrong)", String(reflecting: wrong)] { #expect(!text.contains("hunter2")) }
        }
    }

    /// The least that a user needs: these commands on keys of a prefix, nothing else.
    @Test
    func leastPrivileges() async throws {
        var options = LocalRedisOptions()
        options.extraConfiguration = [
            "user default on nopass ~* &* +@all",
            "user locker on >open-sesame resetkeys ~lk:* resetchannels -@all "
                + "+set +get +del +pexpire +incr +time +eval +evalsha",
        ]
        try await withLocalRedis(nodes: 3, options: options) { redis in
            let nodes = redis.servers.map { "redis://locker:open-sesame@127.0.0.1:\($0.port)" }
            let client = try CompatibleRedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
            let lease = try await client.acquire("lk:report", options: LockOptions(ttl: .seconds(2)))
            try await lease.extend(ttl: .seconds(10))
            let status = try await client.inspect("lk:report")
            #expect(status.isHeld)
            #expect(status.holder?.remaining == nil, "the user may not ask for it")
            #expect(try await client.tryAcquire("lk:report") == nil)
            await lease.release()
            try await client.withLock("lk:body", options: LockOptions(ttl: .seconds(1))) { _ in
                try await Task.sleep(for: .seconds(2))
            }
            let error = await #expect(throws: RedlockError.self) { try await client.acquire("other", options: .once) }
            #expect(error?.code == .quorumUnavailable)
            #expect(error?.description.contains("NOPERM") == true)
            await client.shutdown()
        }
    }

    @Test
    func tls() async throws {
        try await withCertificates { certificates in
            var options = LocalRedisOptions()
            options.tls = LocalRedisTLS(
                certificateFile: certificates.path("server.crt"),
                keyFile: certificates.path("server.key"),
                certificateAuthorityFile: certificates.path("ca.crt"),
                requiresClientCertificate: true
            )
            try await withLocalRedis(nodes: 3, options: options) { redis in
                func endpoints(_ settings: TLSSettings) -> [RedisEndpoint] {
                    redis.servers.map { server in
                        var endpoint = RedisEndpoint(address: .host("127.0.0.1", port: server.port))
                        endpoint.tls = settings
                        return endpoint
                    }
                }
                let good = TLSSettings(
                    certificateAuthorityFile: certificates.path("ca.crt"),
                    certificateFile: certificates.path("client.crt"),
                    keyFile: certificates.path("client.key"),
                    serverName: "localhost"
                )
                try await RedlockClient.enrolNewSet(endpoints: endpoints(good), configuration: .patient)
                try await expectLock(
                    RedlockClient(endpoints: endpoints(good), configuration: .patient, logger: .tracing)
                )

                // The certificate is made out to localhost: neither to another name nor to the bare address.
                for serverName in ["elsewhere.example", nil] {
                    var wrongHost = good
                    wrongHost.serverName = serverName
                    try await expectTLSRefusal(endpoints(wrongHost))
                }
                var unknownAuthority = good
                unknownAuthority.certificateAuthorityFile = certificates.path("other-ca.crt")
                try await expectTLSRefusal(endpoints(unknownAuthority))
                var systemAuthorities = good
                systemAuthorities.certificateAuthorityFile = nil
                try await expectTLSRefusal(endpoints(systemAuthorities))
                // Without a client certificate the server refuses.
                var withoutCertificate = good
                withoutCertificate.certificateFile = nil
                withoutCertificate.keyFile = nil
                _ = try await expectRefusal(
                    RedlockClient(endpoints: endpoints(withoutCertificate), configuration: .patient, logger: .tracing)
                )
                // Plain bytes to a TLS port.
                _ = try await expectRefusal(nodes: redis.servers.map { "redis://127.0.0.1:\($0.port)" })
            }
            try await withLocalRedis(nodes: 1) { redis in
                let error = try await expectRefusal(nodes: ["rediss://127.0.0.1:\(redis[0].port)"])
                #expect(error.description.contains("TLS"))
            }
        }
    }

    @Test
    func missingCertificateFileIsToldAtOnce() throws {
        var endpoint = RedisEndpoint(address: .host("127.0.0.1", port: 6379))
        endpoint.tls = TLSSettings(certificateAuthorityFile: "/nowhere/ca.crt")
        let error = #expect(throws: RedlockError.self) { try RedlockClient(endpoints: [endpoint], logger: .tracing) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description.contains("/nowhere/ca.crt") == true)
    }

    // MARK: Support

    private func expectLock(nodes: [String]) async throws {
        try await RedlockClient.enrolNewSet(nodes: nodes, configuration: .patient)
        try await expectLock(RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing))
    }

    private func expectLock(_ client: RedlockClient) async throws {
        let lease = try await client.acquire("reachable")
        #expect(lease.isValid)
        #expect(try await client.tryAcquire("reachable") == nil)
        await lease.release()
        await client.shutdown()
    }

    private func expectRefusal(
        nodes: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> RedlockError {
        let client = try RedlockClient(nodes: nodes, configuration: .patient, logger: .tracing)
        return try await expectRefusal(client, sourceLocation: sourceLocation)
    }

    private func expectRefusal(
        _ client: RedlockClient,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> RedlockError {
        let error = await #expect(throws: RedlockError.self, sourceLocation: sourceLocation) {
            try await client.acquire("unreachable")
        }
        #expect(error?.code == .quorumUnavailable, sourceLocation: sourceLocation)
        await client.shutdown()
        return try #require(error)
    }

    private func expectTLSRefusal(
        _ endpoints: [RedisEndpoint],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let client = try RedlockClient(endpoints: endpoints, configuration: .patient, logger: .tracing)
        let error = try await expectRefusal(client, sourceLocation: sourceLocation)
        #expect(error.nodes.filter { $0.outcome.contains("certificate") }.count >= 2, "\(error)")
    }
}
