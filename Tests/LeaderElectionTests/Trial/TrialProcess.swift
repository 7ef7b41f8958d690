// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import TestSupport

/// What candidates told, in the order in which it was heard.
final class TrialLog: Sendable {
    /// A term that began.
    struct Beginning: Sendable {
        let identity: String
        let term: Int64
        let nanoseconds: UInt64
    }

    /// A term whose leader stopped by itself.
    struct End: Sendable {
        let identity: String
        let term: Int64
        let nanoseconds: UInt64
        /// How much of the term was left.
        let nanosecondsLeft: Int64
    }

    private struct State {
        var beginnings: [Beginning] = []
        var ends: [End] = []
        var refusals = 0
        var failures: [String] = []
    }

    private let state = Mutex(State())

    var beginnings: [Beginning] { state.withLock(\.beginnings) }
    var ends: [End] { state.withLock(\.ends) }
    var refusals: Int { state.withLock(\.refusals) }
    var failures: [String] { state.withLock(\.failures) }
    var leader: Beginning? { state.withLock { $0.beginnings.max { $0.term < $1.term } } }

    fileprivate func note(_ line: Substring) {
        let words = line.split(separator: " ")
        state.withLock { state in
            if words.count == 4, words[0] == "lead", let term = Int64(words[2]), let time = UInt64(words[3]) {
                state.beginnings.append(Beginning(identity: String(words[1]), term: term, nanoseconds: time))
            } else if words.count == 5, words[0] == "end", let term = Int64(words[2]), let time = UInt64(words[3]),
                let left = Int64(words[4])
            {
                state.ends.append(
                    End(identity: String(words[1]), term: term, nanoseconds: time, nanosecondsLeft: left)
                )
            } else if words.first == "refused" {
                state.refusals += 1
            } else {
                state.failures.append(String(line))
            }
        }
    }
}

/// A process with several candidates.
///
/// `@unchecked Sendable`: what changes is guarded by a mutex, and processes may be told from any thread.
final class TrialProcess: @unchecked Sendable {
    let number: Int
    private let process = Process()
    private let output = Pipe()
    private let unfinished = Mutex(Data())

    init(_ number: Int, arguments: [String], log: TrialLog) throws {
        self.number = number
        process.executableURL = URL(fileURLWithPath: BuiltProgram.path("ElectionCandidate"))
        process.arguments = ["\(number)"] + arguments
        process.standardOutput = output
        output.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil } else { self?.note(data, in: log) }
        }
        try process.run()
    }

    /// Notes the lines that are whole by now.
    private func note(_ data: Data, in log: TrialLog) {
        let lines = unfinished.withLock { unfinished in
            unfinished.append(data)
            var lines = unfinished.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            unfinished = Data(lines.removeLast())
            return lines.map { String(decoding: $0, as: UTF8.self) }
        }
        for line in lines { log.note(line[...]) }
    }

    func stop() { kill(process.processIdentifier, SIGSTOP) }
    func resume() { kill(process.processIdentifier, SIGCONT) }

    func end() {
        kill(process.processIdentifier, SIGCONT)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
}
