// SPDX-License-Identifier: Apache-2.0

#if PostgreSQL

    import CLibpq

    #if canImport(Glibc)
        import Glibc
    #elseif canImport(Musl)
        import Musl
    #else
        import Darwin
    #endif

    /// A session of libpq, which waits for the server no longer than it may.
    ///
    /// `@unchecked Sendable`: its owner calls it from one thread at a time, but for `cancel`, which uses a handle that may be
    /// used from any thread.
    final class PostgreSQLSession: @unchecked Sendable {
        private let connection: OpaquePointer
        private let cancelHandle: OpaquePointer?
        /// How long the answer to a statement may take; the server is the first to end one that takes too long.
        private let answerTimeout: Duration

        init(
            _ connectionString: String,
            configuration: PostgreSQLGuard.Configuration
        ) throws(PostgreSQLGuardError) {
            let begun = Self.beginConnecting(connectionString)
            guard let begun else { throw PostgreSQLGuardError(.unreachable, "no memory for a connection") }
            connection = begun
            answerTimeout = configuration.statementTimeout + .seconds(2)
            do throws(PostgreSQLGuardError) {
                try Self.connect(begun, by: ContinuousClock.now + configuration.connectTimeout)
            } catch {
                PQfinish(begun)
                throw error
            }
            cancelHandle = PQgetCancel(begun)
            _ = try run(
                """
                SELECT set_config('statement_timeout', $1, false),
                    set_config('idle_in_transaction_session_timeout', $2, false)
                """,
                [
                    "\(max(1, configuration.statementTimeout.wholeMilliseconds))",
                    "\(max(1, configuration.idleTransactionTimeout.wholeMilliseconds))",
                ]
            )
        }

        deinit {
            if let cancelHandle { PQfreeCancel(cancelHandle) }
            PQfinish(connection)
        }

        // MARK: State

        /// Whether the server has not ended the session.
        var isAlive: Bool {
            PQconsumeInput(connection) == 1 && PQstatus(connection) == CONNECTION_OK
        }

        /// Whether a transaction is open in which nothing has failed.
        var isInTransaction: Bool { PQtransactionStatus(connection) == PQTRANS_INTRANS }

        // MARK: Connecting

        private static func beginConnecting(_ connectionString: String) -> OpaquePointer? {
            // The first is read as a whole connection string, and what it says goes before the second.
            let keywords = ["dbname", "fallback_application_name"]
            return withCStrings(keywords) { keywords in
                withCStrings([connectionString, "redlock-guard"]) { values in
                    PQconnectStartParams(keywords, values, 1)
                }
            }
        }

        private static func connect(
            _ connection: OpaquePointer,
            by deadline: ContinuousClock.Instant
        ) throws(PostgreSQLGuardError) {
            guard PQstatus(connection) != CONNECTION_BAD else { throw failure(.unreachable, of: connection) }
            var events = Int16(POLLOUT)
            while true {
                guard wait(for: events, on: connection, until: deadline) else {
                    throw PostgreSQLGuardError(
                        .unreachable,
                        "the server at \(place(of: connection)) did not answer in time"
                    )
                }
                switch PQconnectPoll(connection) {
                case PGRES_POLLING_OK: return
                case PGRES_POLLING_READING: events = Int16(POLLIN)
                case PGRES_POLLING_WRITING: events = Int16(POLLOUT)
                default: throw failure(.unreachable, of: connection)
                }
            }
        }

        private static func place(of connection: OpaquePointer) -> String {
            let host = PQhost(connection).map { String(cString: $0) } ?? "?"
            return "\(host):\(PQport(connection).map { String(cString: $0) } ?? "?")"
        }

        // MARK: Statements

        /// Runs one statement and waits for its end.
        func run(_ statement: String, _ parameters: [String?]) throws(PostgreSQLGuardError) -> PostgreSQLResult {
            guard !parameters.contains(where: { $0?.utf8.contains(0) == true }), !statement.utf8.contains(0) else {
                throw PostgreSQLGuardError(.refused, "PostgreSQL knows no text with a zero byte in it")
            }
            let isSent = withCStrings(parameters) { values in
                PQsendQueryParams(connection, statement, Int32(parameters.count), nil, values, nil, nil, 0)
            }
            guard isSent == 1 else { throw Self.failure(.unreachable, of: connection) }
            let deadline = ContinuousClock.now + answerTimeout
            var outcome: Result<PostgreSQLResult, PostgreSQLGuardError>?
            while let result = try nextResult(by: deadline) {
                defer { PQclear(result) }
                let isFirst = outcome == nil
                if isFirst { outcome = Self.outcome(of: result) }
                // A copy would wait for data, for ever.
                if [PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH].contains(PQresultStatus(result)) {
                    throw PostgreSQLGuardError(
                        .unreachable,
                        "COPY cannot be used in a guarded write; the connection was ended"
                    )
                }
            }
            guard let outcome else { throw Self.failure(.unreachable, of: connection) }
            if PQstatus(connection) != CONNECTION_OK { throw Self.failure(.unreachable, of: connection) }
            return try outcome.get()
        }

        /// Asks the server to stop what it does for this session; waits for the server, not for the statement.
        func cancel() {
            guard let cancelHandle else { return }
            var reason = [CChar](repeating: 0, count: 256)
            // If it cannot be told, the end of the connection tells it.
            _ = PQcancel(cancelHandle, &reason, Int32(reason.count))
        }

        private func nextResult(by deadline: ContinuousClock.Instant) throws(PostgreSQLGuardError) -> OpaquePointer? {
            var isFlushed = false
            while PQisBusy(connection) == 1 || !isFlushed {
                isFlushed = PQflush(connection) == 0
                guard PQisBusy(connection) == 1 else { break }
                let events = isFlushed ? Int16(POLLIN) : Int16(POLLIN) | Int16(POLLOUT)
                guard Self.wait(for: events, on: connection, until: deadline) else {
                    throw PostgreSQLGuardError(
                        .timedOut,
                        "the server at \(Self.place(of: connection)) did not answer in time"
                    )
                }
                guard PQconsumeInput(connection) == 1 else { throw Self.failure(.unreachable, of: connection) }
            }
            return PQgetResult(connection)
        }

        private static func outcome(of result: OpaquePointer) -> Result<PostgreSQLResult, PostgreSQLGuardError> {
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return .success(PostgreSQLResult(result))
            default:
                let message = field(redlock_diagnostic_message, of: result) ?? "the server answered with an error"
                let sqlState = field(redlock_diagnostic_sqlstate, of: result)
                // Errors of these classes end the connection, or tell that it has ended.
                let isEnd = sqlState.map { $0.hasPrefix("08") || $0.hasPrefix("57P") || $0 == "25P03" } ?? true
                return .failure(PostgreSQLGuardError(isEnd ? .unreachable : .refused, sqlState: sqlState, message))
            }
        }

        private static func field(_ code: Int32, of result: OpaquePointer) -> String? {
            PQresultErrorField(result, code).map { String(cString: $0) }
        }

        private static func failure(_ kind: PostgreSQLGuardError.Kind, of connection: OpaquePointer)
            -> PostgreSQLGuardError
        {
            let message = String(cString: PQerrorMessage(connection)).split(separator: "\n").joined(separator: "; ")
            return PostgreSQLGuardError(kind, message.isEmpty ? "the connection has ended" : message)
        }

        /// Waits for the socket; false when the time is over.
        private static func wait(
            for events: Int16,
            on connection: OpaquePointer,
            until deadline: ContinuousClock.Instant
        ) -> Bool {
            while true {
                let left = (deadline - ContinuousClock.now).wholeMilliseconds
                guard left > 0 else { return false }
                var socket = pollfd(fd: PQsocket(connection), events: events, revents: 0)
                let count = poll(&socket, 1, Int32(min(left, 60_000)))
                if count > 0 || (count < 0 && errno != EINTR) { return true }
            }
        }
    }

    extension PostgreSQLResult {
        /// Copies a result of libpq, which stays the caller's.
        fileprivate init(_ result: OpaquePointer) {
            let columnCount = PQnfields(result)
            columns = (0..<columnCount).map { String(cString: PQfname(result, $0)) }
            rows = (0..<PQntuples(result)).map { row in
                (0..<columnCount).map { column in
                    PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
                }
            }
            affectedRowCount = Int(String(cString: PQcmdTuples(result))) ?? 0
        }
    }

    extension Duration {
        fileprivate var wholeMilliseconds: Int64 {
            components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
        }
    }

    /// Runs the body on the texts as C knows them, nil for nil, and one nil behind the last.
    private func withCStrings<Result>(
        _ texts: [String?],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = texts.map { $0.flatMap { strdup($0) } }
        defer { for copy in copies { free(copy) } }
        let pointers = copies.map { UnsafePointer($0) } + [nil]
        return pointers.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }

#endif
