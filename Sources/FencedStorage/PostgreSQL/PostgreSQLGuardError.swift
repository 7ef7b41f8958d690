// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    /// Why a transaction through a ``PostgreSQLGuard`` did not come about, or what is not known of it.
    public struct PostgreSQLGuardError: Error, Hashable, Sendable, CustomStringConvertible {
        /// What is known of the transaction.
        public enum Kind: Hashable, Sendable {
            /// The connection string cannot be read.
            case invalidConnectionString
            /// There is no connection, or none any more; nothing was written.
            case unreachable
            /// The server answered with an error, and undid the transaction; ``PostgreSQLGuardError/sqlState`` tells which.
            case refused
            /// The server took too long; nothing was written.
            case timedOut
            /// No answer came to the commit: all was written or nothing. Look at the data before writing again.
            case outcomeUnknown
        }

        /// What is known of the transaction.
        public let kind: Kind
        /// The code of the server's error, see https://www.postgresql.org/docs/current/errcodes-appendix.html; nil where the
        /// server sent none.
        public let sqlState: String?
        /// What happened: of the server's words only the message itself, without the details, which may show data.
        public let message: String

        /// What happened, with the code.
        public var description: String {
            sqlState.map { "\(message) (SQLSTATE \($0))" } ?? message
        }

        init(_ kind: Kind, sqlState: String? = nil, _ message: String) {
            self.kind = kind
            self.sqlState = sqlState
            self.message = message
        }
    }

#endif
