// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import LockCore
package import Redlock

/// A model of that part of a Redis server which clients of this package use, in memory and without any waiting.
///
/// It carries out what clients send, and answers as Redis 7.0 does, errors included. Its clock is the world's to drive,
/// its faults are the world's to cause, and the same calls in the same order give the same answers: nothing in it is left
/// to chance. It is compared with a real server, command by command, in the tests of this package.
///
/// Keys and values are texts that count as equal when Swift says so; in a simulation they are ASCII.
package final class SimulatedServer {
    /// What an operator sets.
    package struct Settings: Hashable, Sendable {
        package var version = "7.0.15"
        package var isClusterNode = false
        package var hasAppendOnlyFile = false
        /// The setting `appendfsync`.
        package var fsyncPolicy = "everysec"
        /// The setting `no-appendfsync-on-rewrite`.
        package var suspendsFsyncDuringRewrite = false
        /// The setting `maxmemory`; 0 for no bound.
        package var memoryLimitBytes: Int64 = 0
        package var evictionPolicy = "noeviction"

        package init() {}
    }

    /// The clock, in microseconds since 1970.
    package var clock: () -> Int64
    /// Takes a message to those who have subscribed to a channel; tells how many they are.
    package var publisher: (_ channel: String, _ message: String) -> Int64 = { _, _ in 0 }
    package var settings: Settings { didSet { information = nil } }
    package var defects: ScriptDefects = []
    /// What the user of the clients may not do.
    package var deniedCommands: Commands = [] { didSet { disturbanceChanged() } }

    /// The server process: another one after every restart.
    package internal(set) var runID = "" { didSet { information = nil } }
    package internal(set) var isReplica = false { didSet { disturbanceChanged() } }
    /// The history that the server had copied before it became a master; zeros if it had copied none.
    package internal(set) var formerReplicationID = noReplicationID { didSet { information = nil } }
    package internal(set) var evictedKeys: Int64 = 0 { didSet { information = nil } }
    /// How often all keys were deleted since the start.
    package internal(set) var flushes: Int64 = 0

    var keys = SimulatedKeys()
    /// The scripts that were loaded, by their digests.
    var scripts: [String: String] = [:]
    var names: SeededRandom
    var refusal: Refusal? { didSet { disturbanceChanged() } }
    /// After how many commands the refusal ends by itself; nil if it does not.
    var refusalsLeft: Int?
    var failsNextWritingScript = false { didSet { disturbanceChanged() } }
    /// Whether a script that fails does so behind its last write.
    var keepsLastWrite = false

    /// Whether there is no fault to look for, as nearly always.
    var isUndisturbed = true
    var isInScript = false
    /// Whether the script that runs has written: then it is not stopped any more for what the server lacks.
    var scriptHasWritten = false
    /// The whole seconds of the last answer to TIME, which most often are those of the next.
    var lastSeconds: (number: Int64, text: RESPValue) = (-1, .null)
    /// The answer to INFO, until something in it changes.
    var information: RESPValue?

    static let noReplicationID = String(repeating: "0", count: 40)

    /// An empty server that was just started.
    ///
    /// - Parameters:
    ///   - seed: which ids it gives itself; servers of one world need different ones.
    ///   - clock: its clock, in microseconds since 1970.
    package init(seed: UInt64, settings: Settings = Settings(), clock: @escaping () -> Int64) {
        self.clock = clock
        self.settings = settings
        names = SeededRandom(seed: seed)
        runID = newID()
    }

    // MARK: Commands

    /// Carries a command out.
    ///
    /// - Parameters:
    ///   - wholeScript: whether the client sent its script whole, and not only the digest.
    ///   - recordID: what the client wrote into a command that names the record of its node.
    package func execute(_ command: NodeCommand, wholeScript: Bool = false, recordID: RecordID? = nil) -> RESPValue {
        keys.now = clock()
        let reply: RESPValue
        do throws(CommandError) {
            switch command {
            case .time: reply = try time()
            case .plain(let arguments): reply = try plain(arguments)
            case .setIfAbsent(let key, let ownerToken, let ttlMilliseconds):
                let isSet = try set(key, ownerToken.secretText, lifeMilliseconds: ttlMilliseconds, onlyIfAbsent: true)
                reply = isSet ? .simpleString("OK") : .null
            default: reply = try evaluate(command, isWhole: wholeScript, recordID: recordID)
            }
        } catch {
            reply = .error(error.text)
        }
        if !isUndisturbed { countRefusal() }
        return reply
    }

    /// Runs the script of a command.
    private func evaluate(
        _ command: NodeCommand,
        isWhole: Bool,
        recordID: RecordID?
    ) throws(CommandError) -> RESPValue {
        guard let script = command.script else { preconditionFailure("a command without a script") }
        try admit(.evaluate)
        if scripts[script.digest] == nil {
            guard isWhole else { throw .noScript }
            scripts[script.digest] = script.text
        }
        try admitScript()
        isInScript = true
        scriptHasWritten = false
        defer { isInScript = false }
        guard failsNextWritingScript else { return try run(command, recordID: recordID) }
        return try runFailing(command, recordID: recordID)
    }

    /// 40 hexadecimal digits that were not there before.
    func newID() -> String {
        var id = ""
        while id.utf8.count < 40 { id += RecordID(bits: names.next()).description }
        return String(id.prefix(40))
    }
}

/// Why a command failed: what the server answers, its code first.
struct CommandError: Error {
    let text: String

    static let noScript = CommandError(text: "NOSCRIPT No matching script. Please use EVAL.")
    /// Whether the key holds another type than the command is for.
    var isWrongType: Bool { text.hasPrefix("WRONGTYPE") }

    static let wrongType = CommandError(
        text: "WRONGTYPE Operation against a key holding the wrong kind of value"
    )
    static let notAnInteger = CommandError(text: "ERR value is not an integer or out of range")
    static let overflow = CommandError(text: "ERR increment or decrement would overflow")
    static let syntax = CommandError(text: "ERR syntax error")

    static func invalidLife(_ command: String) -> CommandError {
        CommandError(text: "ERR invalid expire time in '\(command)' command")
    }

    // A real server tells the line of the script as well.

    static func notANumber(argument: Int) -> CommandError {
        CommandError(text: "ERR user_script: bad argument #\(argument) to 'max' (number expected, got nil)")
    }

    static func comparedWithNothing(_ what: String) -> CommandError {
        CommandError(text: "ERR user_script: attempt to compare \(what)")
    }

    /// What Lua says where it was to reckon with a text that is no number.
    static let reckonedWithText = CommandError(
        text: "ERR user_script: attempt to perform arithmetic on a string value"
    )
}
