// SPDX-License-Identifier: Apache-2.0

/// Why a transaction of a database did not come about, or what is not known of it.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is known of the transaction; more may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case invalidConnectionString, unreachable, refused, conflict, timedOut, outcomeUnknown
            case newerSchema, rowMissing, unexpectedValue
        }

        private let value: Value

        /// The connection string cannot be read.
        public static let invalidConnectionString = Code(value: .invalidConnectionString)
        /// There is no connection, or none any more; nothing was written.
        public static let unreachable = Code(value: .unreachable)
        /// The database answered with an error, and undid the transaction; ``StorageError/sqlState`` tells which, where there
        /// is one.
        public static let refused = Code(value: .refused)
        /// Another transaction was in the way, so that this one was undone; the same transaction may succeed when it is tried
        /// again.
        public static let conflict = Code(value: .conflict)
        /// It took too long; nothing was written.
        public static let timedOut = Code(value: .timedOut)
        /// No answer came to the commit: all was written or nothing, see ``SQLDatabase/resolve(_:)``.
        public static let outcomeUnknown = Code(value: .outcomeUnknown)
        /// The tables were made by a newer version of the code.
        public static let newerSchema = Code(value: .newerSchema)
        /// The row that carries the fencing token is not there.
        public static let rowMissing = Code(value: .rowMissing)
        /// A column is not there, or its value is not of the type that was asked for.
        public static let unexpectedValue = Code(value: .unexpectedValue)

        /// The name of the code.
        public var description: String { value.rawValue }
    }

    /// What is known of the transaction.
    public let code: Code
    /// The code of the server's error, see https://www.postgresql.org/docs/current/errcodes-appendix.html; nil where the
    /// database sent none.
    public let sqlState: String?
    /// What happened: of the words of the database only the message itself, without the details, which may show data.
    public let message: String

    /// What happened, with the code of the server.
    public var description: String {
        sqlState.map { "\(message) (SQLSTATE \($0))" } ?? message
    }

    /// An error of a database.
    public init(_ code: Code, sqlState: String? = nil, _ message: String) {
        self.code = code
        self.sqlState = sqlState
        self.message = message
    }
}

extension StorageError {
    /// Whether a table was not made, as another process made it at the same moment.
    var isOfTableMadeMeanwhile: Bool {
        sqlState.map { ["23505", "42P07", "42710"].contains($0) } ?? false
    }
}
