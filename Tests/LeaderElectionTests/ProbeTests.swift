// SPDX-License-Identifier: Apache-2.0

#if Hummingbird

    import Hummingbird
    import HummingbirdTesting
    import LeaderElection
    import LocalRedis
    import Redlock
    import TestSupport
    import Testing

    /// The probes of a service, as the README shows them.
    @Suite(.serialized)
    struct ProbeTests {
        @Test
        func probesTellWhatTheCandidateDoes() async throws {
            try await withCandidates(2) { electors, redis in
                let application = Application(router: Self.router(of: electors[0]))
                try await application.test(.router) { service in
                    // It neither leads nor follows.
                    try await service.execute(uri: "/health", method: .get) {
                        #expect($0.status == .serviceUnavailable)
                    }
                    try await service.execute(uri: "/leader", method: .get) { #expect($0.status == .notFound) }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        campaign([electors[1]], noting: TermBook(), in: &group)
                        try await eventually { electors[1].isLeading }
                        campaign([electors[0]], noting: TermBook(), in: &group)
                        try await eventually { electors[0].isFollowing }
                        try await service.execute(uri: "/health", method: .get) { #expect($0.status == .ok) }
                        try await service.execute(uri: "/leader", method: .get) {
                            #expect(String(buffer: $0.body) == "candidate 1 port 8001")
                        }
                        for server in redis.servers.prefix(3) { try await server.pause() }
                        try await eventually("it is out of touch") { !electors[0].isHealthy }
                        try await service.execute(uri: "/health", method: .get) {
                            #expect($0.status == .serviceUnavailable)
                        }
                        for server in redis.servers.prefix(3) { try await server.resume() }
                        group.cancelAll()
                    }
                }
            }
        }

        private static func router(of elector: LeaderElector) -> Router<BasicRequestContext> {
            let router = Router()
            router.get("/health") { _, _ -> HTTPResponse.Status in elector.isHealthy ? .ok : .serviceUnavailable }
            router.get("/leader") { _, _ -> String in
                guard let leader = try await elector.currentLeader() else {
                    throw HTTPError(.notFound, message: "nobody leads")
                }
                return "\(leader.candidate.identity) \(leader.candidate.metadata ?? "")"
            }
            return router
        }
    }

#endif
