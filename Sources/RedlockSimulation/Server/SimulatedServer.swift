// SPDX-License-Identifier: Apache-2.0

package import Hiredis
package import LockCore
package import Redlock
internal import RedlockTesting

/// A model of that part of a Redis server which clients of this package use, in memory and without any waiting.
///
/// It carries out what clients send, byte by byte as they send it, and answers as Redis 7.0 does, errors included; their
/// scripts it runs as they are. Its clock is the world's to drive,
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
    /// The mistake in the scripts that the server is given from now on.
    package var defect: ScriptDefect?
    /// What the user of the clients may not do.
    package var deniedCommands: Set<Command> = [] { didSet { disturbanceChanged() } }

    /// The server process: another one after every restart.
    package internal(set) var runID = "" { didSet { information = nil } }
    package internal(set) var isReplica = false { didSet { disturbanceChanged() } }
    /// The history that the server had copied before it became a master; zeros if it had copied none.
    package internal(set) var formerReplicationID = noReplicationID { didSet { information = nil } }
    package internal(set) var evictedKeys: Int64 = 0 { didSet { information = nil } }
    /// How often all keys were deleted since the start.
    package internal(set) var flushes: Int64 = 0

    var keys = SimulatedKeys()
    /// The scripts that were loaded.
    var scripts: [CompiledScript] = []
    let interpreter: ScriptInterpreter
    private var encoder = CommandEncoder()
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
    /// The answer to INFO, until something in it changes.
    var information: String?

    static let noReplicationID = String(repeating: "0", count: 40)

    /// An empty server that was just started.
    ///
    /// - Parameters:
    ///   - seed: which ids it gives itself; servers of one world need different ones.
    ///   - interpreter: runs its scripts; of servers on one thread, all may have the same.
    ///   - clock: its clock, in microseconds since 1970.
    package init(
        seed: UInt64,
        settings: Settings = Settings(),
        interpreter: ScriptInterpreter,
        clock: @escaping () -> Int64
    ) {
        self.clock = clock
        self.interpreter = interpreter
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
        // What clients ask most, and there is nothing to it.
        if case .time = command {
            return answer { () throws(CommandError) in try perform(.time, Words.none).respValue }
        }
        command.encode(into: &encoder, wholeScript: wholeScript)
        do {
            return try encoder.withEncoded { bytes in
                if let recordID, command.endsWithRecordID { NodeCommand.write(recordID, intoEnd: bytes) }
                return Words.withWords(of: UnsafeRawBufferPointer(bytes)) { words in
                    answer { () throws(CommandError) in try reply(to: words) }
                }
            }
        } catch {
            preconditionFailure("a command that no client sends: \(error)")
        }
    }

    private func answer(_ command: () throws(CommandError) -> RESPValue) -> RESPValue {
        keys.now = clock()
        let reply: RESPValue
        do throws(CommandError) {
            reply = try command()
        } catch {
            reply = .error(error.text)
        }
        if !isUndisturbed { countRefusal() }
        return reply
    }

    private func reply(to words: Words) throws(CommandError) -> RESPValue {
        guard let command = Command(words) else { throw .unknownCommand(words.text(0)) }
        guard command.admits(wordCount: words.count) else { throw .wordCount(command) }
        switch command {
        case .evaluate, .evaluateDigest:
            try admit(command)
            return try evaluate(words, isWhole: command == .evaluate)
        default: return try perform(command, words).respValue
        }
    }

    /// Carries out a command that is not one of a script, for a client or for the script that runs.
    func perform(_ command: Command, _ words: Words) throws(CommandError) -> Reply {
        try admit(command)
        switch command {
        case .addScore: return try addScores(words)
        case .countScores: return try countScores(words)
        case .delete: return delete(words)
        case .exists: return exists(words)
        case .get: return try get(words)
        case .getConfiguration: return configuration(words)
        case .incrementBy: return try increment(words)
        case .information: return information(words)
        case .loadScript: return try load(words)
        case .ping: return .status("PONG")
        case .publish: return publish(words)
        case .range: return try range(words)
        case .rangeByScore: return try rangeByScore(words)
        case .rank: return try rank(words)
        case .remainingLife: return remainingLife(words)
        case .removeMember: return try removeMembers(words)
        case .removeRangeByScore: return try removeRangeByScore(words)
        case .scan: return try scan(words)
        case .score: return try score(words)
        case .set: return try set(words)
        case .setEnd: return try setEnd(words)
        case .setLife: return try setLife(words)
        case .subscribe: return .array([.text("subscribe"), .text(words.text(1)), .integer(1)])
        case .time: return time()
        case .evaluate, .evaluateDigest: preconditionFailure("a script is not called by a script")
        }
    }

    /// 40 hexadecimal digits that were not there before.
    func newID() -> String {
        var id = ""
        while id.utf8.count < 40 { id += RecordID(bits: names.next()).description }
        return String(id.prefix(40))
    }
}
