// SPDX-License-Identifier: Apache-2.0

/// One row of an answer.
public struct SQLRow: Hashable, Sendable {
    /// The names of the columns, in their order.
    public let columns: [String]
    /// The values, in the same order.
    public let values: [SQLValue]

    /// A row of a store of one's own.
    public init(columns: [String], values: [SQLValue]) {
        precondition(columns.count == values.count, "a row has a value for each column")
        self.columns = columns
        self.values = values
    }

    /// The value of a column.
    ///
    /// - Throws: ``StorageError`` with `unexpectedValue` if there is no such column, or its value is not of the type; ask for an
    ///   optional where there may be NULL.
    public func get<Value: SQLConvertible>(
        _ column: String,
        as type: Value.Type = Value.self
    ) throws(StorageError) -> Value {
        guard let place = columns.firstIndex(of: column) else {
            throw StorageError(
                .unexpectedValue,
                "the answer has no column \(column); it has \(columns.joined(separator: ", "))"
            )
        }
        guard let value = Value(values[place]) else {
            throw StorageError(.unexpectedValue, "the column \(column) does not hold a value of type \(type)")
        }
        return value
    }
}
