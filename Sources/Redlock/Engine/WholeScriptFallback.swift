// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// Sends a script whole to a node that does not have it: one that was restarted, or told to forget its scripts.
///
/// Once for each node: a node that does not know the whole script either gives an answer like any other.
struct WholeScriptFallback {
    private var nodes: NodeSet = []

    /// Whether the node says that it does not have the script.
    static func isNeeded(for reply: RESPValue) -> Bool {
        reply.error?.hasPrefix("NOSCRIPT") ?? false
    }

    /// Whether the reply asked for the whole script, so that the answer is yet to come.
    mutating func answers(
        _ reply: RESPValue,
        to command: @autoclosure () -> NodeCommand,
        from node: Int,
        receiver: any ReplyReceiver,
        engine: LockEngine
    ) -> Bool {
        guard Self.isNeeded(for: reply), !nodes.contains(node) else { return false }
        nodes.insert(node)
        // Most often the scripts were flushed. If it is another server behind the same connection, this tells, and the
        // answer of the script comes behind it.
        engine.admission.inspect(node)
        engine.send(command(), to: [node], receiver: receiver, wholeScript: true)
        return true
    }
}
