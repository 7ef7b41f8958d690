// SPDX-License-Identifier: Apache-2.0

import Foundation
import LeaderElection
import Redlock

/// A leader that keeps every thread of the concurrency pool busy, whatever happens to its term, in a process that is to be
/// ended for that.
///
/// Lines on standard output: `left NANOSECONDS`, how much of its term is left.
enum StuckLeader {
    static func run(nodes: String) async throws {
        var times = ElectionConfiguration()
        times.leaseDuration = .seconds(2)
        times.renewDeadline = .seconds(1)
        times.retryPeriod = .milliseconds(200)
        times.abortOnOverrun = true
        let client = try RedlockClient(nodes: nodes.split(separator: ",").map(String.init))
        let elector = try LeaderElector(client, name: "stuck", identity: "stuck", configuration: times)
        try await elector.run { term in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<(4 * ProcessInfo.processInfo.activeProcessorCount) {
                    group.addTask {
                        while true {
                            ElectionCandidate.tell("left \(Int64((term.validUntil - .now) / .nanoseconds(1)))")
                            usleep(2_000)
                        }
                    }
                }
            }
        }
    }
}
