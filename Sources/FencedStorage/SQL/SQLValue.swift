// SPDX-License-Identifier: Apache-2.0

public import Redlock

/// A value on its way to a database, or from it.
public enum SQLValue: Hashable, Sendable {
    /// NULL.
    case null
    /// A whole number; a truth value is 0 or 1.
    case integer(Int64)
    /// A number with a fraction.
    case real(Double)
    /// A text; also what has no case of its own here, as the database writes it.
    case text(String)
    /// Bytes.
    case blob([UInt8])
}

/// What can stand in a statement as a value, and be read from a row.
public protocol SQLConvertible: Sendable {
    /// The value as the database keeps it.
    var sqlValue: SQLValue { get }

    /// The value that was read; nil if it is not one of this type.
    init?(_ value: SQLValue)
}

extension SQLValue: SQLConvertible {
    /// The value itself.
    public var sqlValue: SQLValue { self }

    /// Every value is one.
    public init?(_ value: SQLValue) { self = value }
}

extension Int64: SQLConvertible {
    /// A whole number.
    public var sqlValue: SQLValue { .integer(self) }

    /// Reads a whole number.
    public init?(_ value: SQLValue) {
        guard case .integer(let number) = value else { return nil }
        self = number
    }
}

extension Int: SQLConvertible {
    /// A whole number.
    public var sqlValue: SQLValue { .integer(Int64(self)) }

    /// Reads a whole number.
    public init?(_ value: SQLValue) {
        guard case .integer(let number) = value else { return nil }
        self.init(exactly: number)
    }
}

extension Bool: SQLConvertible {
    /// 0 or 1.
    public var sqlValue: SQLValue { .integer(self ? 1 : 0) }

    /// Reads 0 or 1.
    public init?(_ value: SQLValue) {
        switch value {
        case .integer(0): self = false
        case .integer(1): self = true
        default: return nil
        }
    }
}

extension Double: SQLConvertible {
    /// A number with a fraction.
    public var sqlValue: SQLValue { .real(self) }

    /// Reads a number, whole or not.
    public init?(_ value: SQLValue) {
        switch value {
        case .real(let number): self = number
        case .integer(let number): self = Double(number)
        default: return nil
        }
    }
}

extension String: SQLConvertible {
    /// A text.
    public var sqlValue: SQLValue { .text(self) }

    /// Reads a text.
    public init?(_ value: SQLValue) {
        guard case .text(let text) = value else { return nil }
        self = text
    }
}

extension [UInt8]: SQLConvertible {
    /// Bytes.
    public var sqlValue: SQLValue { .blob(self) }

    /// Reads bytes.
    public init?(_ value: SQLValue) {
        guard case .blob(let bytes) = value else { return nil }
        self = bytes
    }
}

extension FencingToken: SQLConvertible {
    /// A whole number.
    public var sqlValue: SQLValue { .integer(rawValue) }

    /// Reads a whole number.
    public init?(_ value: SQLValue) {
        guard case .integer(let number) = value else { return nil }
        self.init(rawValue: number)
    }
}

extension Optional: SQLConvertible where Wrapped: SQLConvertible {
    /// The value, or NULL.
    public var sqlValue: SQLValue { self?.sqlValue ?? .null }

    /// Reads the value, or nil for NULL.
    public init?(_ value: SQLValue) {
        if value == .null {
            self = .none
        } else if let wrapped = Wrapped(value) {
            self = wrapped
        } else {
            return nil
        }
    }
}
