// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation

/// What this process was started with, as far as it is the command's business and not ours: the command is to find what
/// it would have found without `redlock` in between.
///
/// `@unchecked Sendable`: it is taken down once and never changed.
final class InheritedState: @unchecked Sendable {
    /// That of this process; the first use of it must come before anything changes signals or opens a descriptor.
    static let ofThisProcess = InheritedState()

    /// The environment; entries are bytes, as they need not be UTF-8.
    let environment: [[UInt8]]
    /// Ignored signals, open descriptors, and how many there may be.
    private let inheritance: cinheritance
    private let readError: Int32

    private init() {
        var inheritance = cinheritance()
        readError = cinheritance_read(&inheritance)
        self.inheritance = inheritance
        environment = Self.environmentOfThisProcess()
    }

    /// - Throws: `CommandFailure` if what was inherited could not be read whole: the command would miss some of it.
    func requireComplete() throws(CommandFailure) {
        guard readError == 0 else {
            throw CommandFailure(systemError: readError, "the descriptors of this process cannot be read")
        }
    }

    func withInheritance<Value>(_ body: (UnsafePointer<cinheritance>) -> Value) -> Value {
        withUnsafePointer(to: inheritance, body)
    }

    /// Whether this process was started with the signal ignored.
    func isIgnored(_ signal: Int32) -> Bool {
        withUnsafePointer(to: inheritance.ignored_signals) { sigismember($0, signal) == 1 }
    }

    private static func environmentOfThisProcess() -> [[UInt8]] {
        var entries: [[UInt8]] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(Array(UnsafeBufferPointer(start: entry, count: strlen(entry)).map(UInt8.init(bitPattern:))))
            next += 1
        }
        return entries
    }
}
