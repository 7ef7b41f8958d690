// SPDX-License-Identifier: Apache-2.0

/// A statement, or a piece of one.
///
/// What is interpolated is bound as a parameter, and never becomes a part of the text:
///
/// ```swift
/// let statement: SQL = "UPDATE stock SET available = available - \(count) WHERE item = \(item)"
/// ```
///
/// The name of a table or column goes in quoted, by `\(identifier: name)`, and another piece of a statement by `\(sql: piece)`.
public struct SQL: Hashable, Sendable, ExpressibleByStringInterpolation {
    enum Part: Hashable, Sendable {
        case text(String)
        case value(SQLValue)
    }

    private(set) var parts: [Part]

    /// A text without parameters.
    public init(stringLiteral text: String) {
        parts = [.text(text)]
    }

    /// A text with parameters.
    public init(stringInterpolation: StringInterpolation) {
        parts = stringInterpolation.parts
    }

    /// Puts pieces behind one another.
    public static func + (first: SQL, second: SQL) -> SQL {
        var sum = first
        sum.parts += second.parts
        return sum
    }

    /// A name of a table or column; of a schema too, where a dot stands between.
    static func identifier(_ name: String) -> SQL {
        SQL(stringLiteral: quoted(name))
    }

    fileprivate static func quoted(_ name: String) -> String {
        name.split(separator: ".", omittingEmptySubsequences: false)
            .map { "\"\($0.replacing("\"", with: "\"\""))\"" }
            .joined(separator: ".")
    }

    /// What stands between the pieces of a statement that are put together.
    public struct StringInterpolation: StringInterpolationProtocol {
        var parts: [Part] = []

        /// An empty statement.
        public init(literalCapacity: Int, interpolationCount: Int) {
            parts.reserveCapacity(2 * interpolationCount + 1)
        }

        /// Text of the program.
        public mutating func appendLiteral(_ literal: String) {
            if !literal.isEmpty { parts.append(.text(literal)) }
        }

        /// A value, which is bound.
        public mutating func appendInterpolation(_ value: some SQLConvertible) {
            parts.append(.value(value.sqlValue))
        }

        /// A value, which is bound, or NULL.
        public mutating func appendInterpolation<Value: SQLConvertible>(_ value: Value?) {
            parts.append(.value(value.sqlValue))
        }

        /// The name of a table or column, which is quoted; a dot separates the name of a schema.
        public mutating func appendInterpolation(identifier name: String) {
            parts.append(.text(quoted(name)))
        }

        /// Another piece of a statement, with its parameters.
        public mutating func appendInterpolation(sql piece: SQL) {
            parts += piece.parts
        }
    }
}

extension SQL {
    /// The text with the placeholders of a dialect, and the values in their order.
    func rendered(for dialect: SQLDialect) -> (text: String, values: [SQLValue]) {
        var text = ""
        var values: [SQLValue] = []
        for part in parts {
            switch part {
            case .text(let piece): text += piece
            case .value(let value):
                values.append(value)
                text += dialect.placeholder(values.count)
            }
        }
        return (text, values)
    }
}
