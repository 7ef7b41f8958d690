// SPDX-License-Identifier: Apache-2.0

#if Hummingbird

    import Foundation
    import HTTPTypes
    public import Hummingbird
    import NIOCore
    public import Redlock

    /// Refuses requests of holders that came too late: those whose `Fencing-Token` is lower than one that has written.
    ///
    /// ```swift
    /// struct Context: FencedRequestContext {
    ///     var coreContext: CoreRequestContextStorage
    ///     var fencedGrant: ReceivedGrant?
    ///     …
    /// }
    ///
    /// router.group("orders")
    ///     .add(middleware: FencingTokenMiddleware(store) { request, _ in request.uri.path })
    ///     .put(":id") { request, context in
    ///         try await store.write(context.requireFencedGrant()) { db in … }
    ///         return HTTPResponse.Status.noContent
    ///     }
    /// ```
    ///
    /// The decision is the store's, in one step with the write: the handler writes under the grant of its context. What the
    /// middleware does before is to spare work that could only be refused, and after, to tell the caller of the refusal:
    ///
    /// | the request | the answer |
    /// | --- | --- |
    /// | has no `Fencing-Token` | 428 Precondition Required |
    /// | has one that is no number above 0, or several | 400 Bad Request |
    /// | is stale, before the handler ran or in its write | 409 Conflict, with both tokens |
    ///
    /// Callers set the header from their lease, see `setFencingToken(of:)` of `HTTPFields`. It is no secret and no
    /// proof: whoever may call the service may make a token up, and by a high one lock all others out.
    public struct FencingTokenMiddleware<Context: FencedRequestContext>: RouterMiddleware {
        private let store: any FencedStore
        private let resource: @Sendable (Request, Context) throws -> String

        /// A middleware in front of handlers that write to a store.
        ///
        /// - Parameters:
        ///   - store: where the handlers write.
        ///   - resource: the name that callers lock for a request.
        public init(
            _ store: any FencedStore,
            resource: @escaping @Sendable (Request, Context) throws -> String
        ) {
            self.store = store
            self.resource = resource
        }

        /// Judges the token of a request, and hands it on with its grant.
        ///
        /// - Throws: what the handler throws, but for a `StaleGrantError`, which becomes an answer.
        public func handle(
            _ request: Request,
            context: Context,
            next: (Request, Context) async throws -> Response
        ) async throws -> Response {
            let values = request.headers[values: .fencingToken]
            guard let value = values.first else {
                throw HTTPError(.preconditionRequired, message: "the request needs a header Fencing-Token")
            }
            guard values.count == 1, let token = FencingToken(value) else {
                throw HTTPError(.badRequest, message: "the header Fencing-Token must be one number above 0")
            }
            let grant = ReceivedGrant(try resource(request, context), token)
            do {
                if let highest = try await store.highestToken(of: grant.resource), highest > token {
                    throw StaleGrantError(resource: grant.resource, token: token, highestToken: highest)
                }
                var context = context
                context.fencedGrant = grant
                return try await next(request, context)
            } catch let error as StaleGrantError {
                return try Self.refusal(error)
            }
        }

        private static func refusal(_ error: StaleGrantError) throws -> Response {
            let body = StaleRequest(
                error: "stale fencing token",
                message: error.description,
                resource: error.resource,
                token: error.token.rawValue,
                highestToken: error.highestToken.rawValue
            )
            let bytes = try JSONEncoder().encode(body)
            return Response(
                status: .conflict,
                headers: [.contentType: "application/json; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
            )
        }

        private struct StaleRequest: Encodable {
            let error: String
            let message: String
            let resource: String
            let token: Int64
            let highestToken: Int64
        }
    }

    /// A context that carries the grant of a request from the middleware to the handler.
    public protocol FencedRequestContext: RequestContext {
        /// The grant that the request is made under; nil where no ``FencingTokenMiddleware`` has judged it.
        var fencedGrant: ReceivedGrant? { get set }
    }

    extension FencedRequestContext {
        /// The grant that the request is made under.
        ///
        /// - Throws: `HTTPError` with 500 if the route has no ``FencingTokenMiddleware``.
        public func requireFencedGrant() throws -> ReceivedGrant {
            guard let fencedGrant else {
                throw HTTPError(.internalServerError, message: "this route has no middleware that reads fencing tokens")
            }
            return fencedGrant
        }
    }

#endif
