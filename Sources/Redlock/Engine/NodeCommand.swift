// SPDX-License-Identifier: Apache-2.0

import Hiredis
import LockCore
import RedisTransport

/// What the engine asks of a node.
///
/// The keys and scripts are those of the published algorithm, so that any other client that follows it excludes and is
/// excluded: https://redis.io/docs/latest/develop/use/patterns/distributed-locks/
enum NodeCommand {
    /// Set the key to the owner token, for the time of the TTL, if the key is not there.
    case setIfAbsent(key: String, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Raise the life of the key to the TTL if it holds the owner token; never create the key, never shorten its life.
    case expireIfEqual(key: String, ownerToken: OwnerToken, ttlMilliseconds: Int64)
    /// Delete the key if it holds the owner token.
    case deleteIfEqual(key: String, ownerToken: OwnerToken)
    /// Read the value of the key and how long it lives.
    case read(key: String)

    /// The script that carries the command out; nil for a plain command.
    var script: Script? {
        switch self {
        case .setIfAbsent: nil
        case .expireIfEqual: .expireIfEqual
        case .deleteIfEqual: .deleteIfEqual
        case .read: .read
        }
    }

    /// Encodes the command; a script by its digest, or whole for a node that does not have it.
    func encode(into encoder: inout CommandEncoder, wholeScript: Bool) {
        encoder.begin()
        if let script {
            encoder.append(wholeScript ? "EVAL" : "EVALSHA")
            encoder.append(wholeScript ? script.text : script.digest)
            encoder.append("1")
        }
        switch self {
        case .setIfAbsent(let key, let ownerToken, let ttlMilliseconds):
            encoder.append("SET")
            encoder.append(key)
            encoder.append(ownerToken.secretText)
            encoder.append("NX")
            encoder.append("PX")
            encoder.append(ttlMilliseconds)
        case .expireIfEqual(let key, let ownerToken, let ttlMilliseconds):
            encoder.append(key)
            encoder.append(ownerToken.secretText)
            encoder.append(ttlMilliseconds)
        case .deleteIfEqual(let key, let ownerToken):
            encoder.append(key)
            encoder.append(ownerToken.secretText)
        case .read(let key):
            encoder.append(key)
        }
    }
}

extension RESPValue {
    /// Why this reply to a command is none of those that the command gives.
    var problem: String {
        error?.withoutEchoedArguments ?? "an answer that the command does not give"
    }
}

/// A script that runs on the nodes, and the digest by which a node knows it.
struct Script {
    let text: String
    /// SHA-1 of the text, in hexadecimal digits.
    let digest: String

    static let all = [deleteIfEqual, expireIfEqual, read]

    static let deleteIfEqual = Script(
        text: """
            if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
            return 0
            """,
        digest: "7f8f6677b8f2b4b65b9b9905151ced126e6b7e49"
    )

    /// 1: still mine, 0: missing, -1: foreign.
    ///
    /// PTTL is asked by pcall because a user may lack the right to it.
    static let expireIfEqual = Script(
        text: """
            local owner = redis.call('GET', KEYS[1])
            if not owner then return 0 end
            if owner ~= ARGV[1] then return -1 end
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' or left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
            return 1
            """,
        digest: "08b5fb59a59666e31c8505b3e4161ff7f48d7a5d"
    )

    /// An empty array, or the value and its life in milliseconds (-1: for ever, -3: not allowed to know).
    static let read = Script(
        text: """
            local owner = redis.call('GET', KEYS[1])
            if not owner then return {} end
            local left = redis.pcall('PTTL', KEYS[1])
            if type(left) ~= 'number' then left = -3 end
            return {owner, left}
            """,
        digest: "d498a9aef1916e6f1aa8efaa59d6b3cce1990111"
    )
}
