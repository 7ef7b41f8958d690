// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

extension RESPValue {
    /// Why this reply to a command is none of those that the command gives.
    var problem: String { problem(rights: nil) }

    /// The same.
    ///
    /// - Parameter rights: what the access control list must grant for the command, told if that is what is missing.
    func problem(rights: String?) -> String {
        guard let error else { return "an answer that the command does not give" }
        if let foreign = Self.foreignValue(in: error) { return foreign }
        let text = error.withoutEchoedArguments
        if let rights, error.hasPrefix("NOPERM ") { return "\(text); grant \(rights)" }
        guard isFromClusterNode else { return text }
        let (reason, remedy) = Refusal.clusterNode.text(nodeNames: [])
        return "\(reason) (\(text)); \(remedy)"
    }

    /// Whether a key holds data of another type than the command or script is for.
    var isOfWrongType: Bool { error?.contains("WRONGTYPE") == true }

    /// What an error says of a key of this package that holds what this package never writes, and what to do about it; nil
    /// for every other error.
    private static func foreignValue(in error: String) -> String? {
        if error.contains("WRONGTYPE") {
            return "one of the keys of this name below the prefix holds data of another type (WRONGTYPE); if it is in "
                + "place of the lock, `redlock release --force NAME` deletes it; delete any other by hand"
        }
        // By INCRBY and by Lua, for a counter that is no number.
        let isOfCounter = ["value is not an integer", "decrement would overflow", "attempt to compare"].contains {
            error.contains($0)
        }
        guard isOfCounter else { return nil }
        return "its counter of fencing tokens is not a number; delete that key (fence:NAME below the prefix) on this "
            + "node, then run `redlock fence NAME --at-least N` with the highest token that your store has seen"
    }

    /// Whether only a node of a cluster gives this reply: it keeps some of the keys, and others keep the rest.
    ///
    /// See https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/.
    var isFromClusterNode: Bool {
        let code = error?.prefix { $0 != " " } ?? ""
        return ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "CROSSSLOT"].contains(code)
    }

    /// The server's clock in an answer to TIME, in microseconds since 1970.
    var serverMicroseconds: Int64? {
        guard case .array(let parts) = self, parts.count == 2,
            let seconds = parts[0].decimalNumber, seconds < 1 << 33,
            let microseconds = parts[1].decimalNumber, microseconds < 1_000_000
        else { return nil }
        return seconds * 1_000_000 + microseconds
    }

    /// The number that a bulk string of up to 18 digits stands for.
    private var decimalNumber: Int64? {
        guard case .bulkString(let bytes) = self, (1...18).contains(bytes.count) else { return nil }
        var number: Int64 = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        return number
    }
}
