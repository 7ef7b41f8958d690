// SPDX-License-Identifier: Apache-2.0

#if Hummingbird

    import FencedStorage
    import Foundation
    import HTTPTypes
    import Hummingbird
    import HummingbirdTesting
    import NIOCore
    import Redlock
    import RedlockTesting
    import Testing

    /// A service that refuses requests of holders that came too late.
    struct FencingTokenMiddlewareTests {
        private let store = MemoryStore(mistake: nil)

        @Test
        func currentRequestsWrite() async throws {
            try await withService { client in
                for token in ["5", "5", "9"] {
                    let response = try await put(client, "/orders/7", token: token)
                    #expect(response.status == .noContent)
                }
                let other = try await put(client, "/orders/8", token: "1")
                #expect(other.status == .noContent, "another order has tokens of its own")
            }
            #expect(store.entries.map(\.token.rawValue) == [5, 5, 9, 1])
        }

        @Test
        func staleRequestsAreRefusedWithBothTokens() async throws {
            try await withService { client in
                _ = try await put(client, "/orders/7", token: "9")
                let response = try await put(client, "/orders/7", token: "8")
                #expect(response.status == .conflict)
                let body =
                    try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: Any]
                #expect(body?["error"] as? String == "stale fencing token")
                #expect(body?["resource"] as? String == "/orders/7")
                #expect(body?["token"] as? Int == 8)
                #expect(body?["highestToken"] as? Int == 9)
            }
            #expect(store.entries.count == 1)
        }

        @Test("The store decides: what becomes stale while the handler runs is refused in the same words")
        func staleInTheHandler() async throws {
            try await withService { client in
                let response = try await put(client, "/overtaken", token: "8")
                #expect(response.status == .conflict)
            }
            #expect(store.entries.map(\.token.rawValue) == [9])
        }

        @Test(arguments: ["", "0", "-1", "7x", "1.5", "7, 8"])
        func tokensThatAreNoneAreRefused(_ token: String) async throws {
            try await withService { client in
                let response = try await put(client, "/orders/7", token: token)
                #expect(response.status == .badRequest)
            }
            #expect(store.entries.isEmpty)
        }

        @Test
        func requestsWithoutTokenAreRefused() async throws {
            try await withService { client in
                let response = try await client.execute(uri: "/orders/7", method: .put) { $0 }
                #expect(response.status == .preconditionRequired)
                #expect(String(buffer: response.body).contains("Fencing-Token"))
            }
            #expect(store.entries.isEmpty)
        }

        @Test
        func leasesSetTheHeader() {
            var fields = HTTPFields()
            fields.setFencingToken(of: ReceivedGrant("orders/7", FencingToken(rawValue: 41)))
            #expect(fields[.fencingToken] == "41")
        }

        @Test
        func routesWithoutTheMiddlewareAreNoticed() async throws {
            try await withService { client in
                let response = try await client.execute(uri: "/unguarded", method: .put) { $0 }
                #expect(response.status == .internalServerError)
            }
        }

        private struct Context: FencedRequestContext {
            var coreContext: CoreRequestContextStorage
            var fencedGrant: ReceivedGrant?

            init(source: Source) {
                coreContext = .init(source: source)
            }
        }

        private func withService(_ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void) async throws
        {
            let store = self.store
            let router = Router(context: Context.self)
            router.put("unguarded") { _, context in
                _ = try context.requireFencedGrant()
                return HTTPResponse.Status.noContent
            }
            let guarded = router.group()
                .add(middleware: FencingTokenMiddleware(store) { request, _ in request.uri.path })
            guarded.put("orders/:id") { _, context in
                try await Self.write(under: context.requireFencedGrant(), to: store)
            }
            guarded.put("overtaken") { _, context in
                let grant = try context.requireFencedGrant()
                _ = try await Self.write(
                    under: ReceivedGrant(grant.fencedResources[0], FencingToken(rawValue: 9)),
                    to: store
                )
                return try await Self.write(under: grant, to: store)
            }
            try await Application(router: router).test(.router, body)
        }

        private static func write(under grant: ReceivedGrant, to store: MemoryStore) async throws -> HTTPResponse.Status
        {
            let entry = FencedStoreEntry(token: grant.fencingToken, number: 0)
            try await store.apply({ @Sendable in $0.append(entry) }, under: grant)
            return .noContent
        }

        private func put(_ client: any TestClientProtocol, _ path: String, token: String) async throws -> TestResponse {
            try await client.execute(uri: path, method: .put, headers: [.fencingToken: token]) { $0 }
        }
    }

#endif
