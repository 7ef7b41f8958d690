// SPDX-License-Identifier: Apache-2.0

public import ServiceLifecycle

/// A candidate as one of the services of an application: it campaigns until the application shuts down.
///
/// On graceful shutdown what leads is cancelled, and the leadership is given up as soon as it has returned, so that somebody
/// else leads without a lease duration in between.
///
/// ```swift
/// let election = elector.service { term in try await schedule(under: term) }
/// let group = ServiceGroup(
///     configuration: .init(
///         services: [.init(service: redlock), .init(service: election)],
///         gracefulShutdownSignals: [.sigterm],
///         logger: logger
///     )
/// )
/// try await group.run()
/// ```
public struct ElectionService: Service {
    let elector: LeaderElector
    let lead: @Sendable (Term) async throws -> Void

    /// Campaigns, leads, and campaigns again until the graceful shutdown of the application.
    ///
    /// - Throws: as ``LeaderElector/run(_:)``.
    public func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                try await elector.run(lead)
            } catch is CancellationError where Task.isShuttingDownGracefully {
                return
            }
        }
    }
}

extension LeaderElector {
    /// This candidate as one of the services of an application.
    ///
    /// - Parameter lead: what to do as the leader; see ``run(_:)``.
    public func service(_ lead: @escaping @Sendable (Term) async throws -> Void) -> ElectionService {
        ElectionService(elector: self, lead: lead)
    }
}
