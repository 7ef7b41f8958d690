// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// Questions outside the protocol, for what is asked seldom and reads better one step after the other.
extension LockEngine {
    /// Waits until every node was tried, or a quorum can be used and the others had a node timeout to follow.
    func waitUntilConnected() async throws(RedlockError) {
        let isShuttingDown = await withCheckedContinuation { continuation in
            submit { engine in
                engine.whenConnected { continuation.resume(returning: engine.isShuttingDown) }
            }
        }
        if isShuttingDown { throw RedlockError.shutDown }
    }

    /// Waits, for a connect timeout at most, until every node was tried: a quorum is enough to lock, but not to speak of
    /// all nodes.
    func waitForStragglers() async {
        await withCheckedContinuation { continuation in
            submit { engine in engine.whenAllWereTried { continuation.resume() } }
        }
    }

    /// Asks one node several things at once; an answer may be an error.
    func ask(_ node: Int, _ commands: [NodeCommand]) async -> Result<[RESPValue], NodeFailure> {
        await withCheckedContinuation { continuation in
            submit { engine in
                let collector = ReplyCollector(replyCount: commands.count) { continuation.resume(returning: $0) }
                for command in commands {
                    engine.send(command, to: [node], receiver: collector, form: .whole)
                }
            }
        }
    }

    /// Runs on the loop and waits for the outcome.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (LockEngine) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            submit { continuation.resume(returning: body($0)) }
        }
    }

    /// The keys of a node that match a pattern, read step by step so that the server does other things in between.
    ///
    /// What comes or goes meanwhile may be among them or not.
    func keys(matching pattern: String, on node: Int) async throws(NodeFailure) -> Set<[UInt8]> {
        var keys: Set<[UInt8]> = []
        var cursor = "0"
        repeat {
            let reply = try await ask(node, [.plain(["SCAN", cursor, "MATCH", pattern, "COUNT", "500"])]).get()[0]
            guard case .array(let parts) = reply, parts.count == 2, let next = parts[0].string,
                let found = parts[1].array
            else {
                let problem = await onLoop { $0.problem(reply, of: node, rights: "+scan") }
                throw NodeFailure(.permission, "its keys cannot be read: \(problem)")
            }
            for case .bulkString(let key) in found { keys.insert(key) }
            cursor = next
        } while cursor != "0"
        return keys
    }
}

extension String {
    /// The text as a pattern of Redis that matches nothing else.
    var escapedForPatterns: String {
        var pattern = UnicodeScalarView()
        for scalar in unicodeScalars {
            if "*?[]\\^-".unicodeScalars.contains(scalar) { pattern.append("\\") }
            pattern.append(scalar)
        }
        return String(pattern)
    }
}
