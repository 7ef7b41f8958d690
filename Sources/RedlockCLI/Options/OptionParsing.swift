// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Redlock

// Every option that takes a value reads the next argument as it is (`.unconditional`): `--ttl -5` is then told to be
// negative, rather than to lack a value.

extension DurationArgument {
    /// For `@Option(transform:)`.
    static func option(_ text: String) throws -> Duration {
        try asValidationError { try parse(text) }
    }
}

extension DriftArgument {
    /// For `@Option(transform:)`.
    static func option(_ text: String) throws -> DriftProfile {
        try asValidationError { try parse(text) }
    }
}

extension SignalName {
    /// For `@Option(transform:)`.
    static func option(_ text: String) throws -> SignalName {
        try asValidationError { try SignalName(parsing: text) }
    }
}

/// For `@Option(transform:)`: what exit(3) can report.
func exitCodeOption(_ text: String) throws -> Int32 {
    guard let code = Int32(text), (0...255).contains(code) else {
        throw ValidationError("\"\(text)\" is not an exit code from 0 to 255")
    }
    return code
}

/// For `@Option(transform:)`: how many nodes must agree.
///
/// Whether so many make sense depends on the number of nodes.
func quorumOption(_ text: String) throws -> Int {
    guard let quorum = Int(text), quorum > 0 else { throw ValidationError("\"\(text)\" is not a number of nodes") }
    return quorum
}

/// For `@Option(transform:)`: how many grants are kept on record.
func recordOption(_ text: String) throws -> Int {
    guard let count = Int(text), (1...32).contains(count) else {
        throw ValidationError("\"\(text)\" is not a number of grants from 1 to 32")
    }
    return count
}

/// For `@Option(transform:)`: a number that a fence can be raised to.
func fencingTokenOption(_ text: String) throws -> FencingToken {
    guard let token = FencingToken(text) else {
        throw ValidationError("\"\(text)\" is not a fencing token; it is a whole number from 1")
    }
    return token
}

/// ArgumentParser shows the text of its own error type only.
private func asValidationError<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch let error as UsageError {
        throw ValidationError(error.description)
    }
}
