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
        private let configuration: PostgreSQLGuard.Configuration
        /// Set when nobody knows what the server is doing.
        private var isLost = false

        init(
            _ connectionString: String,
            configuration: PostgreSQLGuard.Configuration
        ) throws(PostgreSQLGuardError) {
            self.configuration = configuration
            let begun = Self.beginConnecting(connectionString)
            guard let begun else { throw PostgreSQLGuardError(.unreachable, "no memory for a connection") }
            connection = begun
            do throws(PostgreSQLGuardError) {
                try Self.connect(begun, by: ContinuousClock.now + configuration.connectTimeout.bounded)
            } catch {
                PQfinish(begun)
                throw error
            }
            cancelHandle = PQgetCancel(begun)
        }

        deinit {
            if let cancelHandle { PQfreeCancel(cancelHandle) }
            PQfinish(connection)
        }

        /// Whether the session can be used, and the server has not ended it.
        var isAlive: Bool {
            // The first look may show the server's farewell, and only the second that nothing follows.
            !isLost && PQconsumeInput(connection) == 1 && PQconsumeInput(connection) == 1
                && PQstatus(connection) == CONNECTION_OK
        }

        /// Asks the server to stop what it does for this session; waits for the server, not for the statement.
        func cancel() {
            guard let cancelHandle else { return }
            var reason = [CChar](repeating: 0, count: 256)
            // If it cannot be told, the end of the connection tells it.
            _ = PQcancel(cancelHandle, &reason, Int32(reason.count))
        }

        // MARK: Transactions

        /// Begins a transaction with the limits of the guard, whatever statements before have set.
        func begin() throws(PostgreSQLGuardError) {
            let statement = max(1, configuration.statementTimeout.wholeMilliseconds)
            let idle = max(1, configuration.idleTransactionTimeout.wholeMilliseconds)
            try send { connection in
                PQsendQuery(
                    connection,
                    """
                    BEGIN ISOLATION LEVEL READ COMMITTED;
                    SET LOCAL statement_timeout = \(statement);
                    SET LOCAL idle_in_transaction_session_timeout = \(idle)
                    """
                )
            }
            _ = try outcome()
        }

        /// Runs a statement that must not end the transaction.
        func runInTransaction(
            _ statement: String,
            _ parameters: [String?]
        ) throws(PostgreSQLGuardError) -> PostgreSQLResult {
            // Some errors end the transaction altogether: what followed would be written without the guard.
            guard PQtransactionStatus(connection) != PQTRANS_IDLE else {
                throw PostgreSQLGuardError(.refused, "the transaction was ended by an error of a statement before")
            }
            let (result, tag) = try run(statement, parameters)
            // A return to a savepoint has the same tag as the end of everything.
            let isEnd =
                ["COMMIT", "BEGIN", "START TRANSACTION", "PREPARE TRANSACTION"].contains(tag)
                || tag == "ROLLBACK" && (!isInTransaction || statement.lowercased().contains("chain"))
            guard !isEnd else {
                isLost = true
                throw PostgreSQLGuardError(
                    .outcomeUnknown,
                    "a statement ended the transaction of a guarded write (\(tag)): what was before it may stay"
                )
            }
            return result
        }

        /// Commits; what fails for certain is told apart from what may have happened.
        func commit() throws(PostgreSQLGuardError) {
            guard !isLost else {
                throw PostgreSQLGuardError(
                    .outcomeUnknown,
                    "the connection ended inside the transaction, or a statement ended it"
                )
            }
            guard isInTransaction else {
                throw PostgreSQLGuardError(
                    .refused,
                    "a statement of the transaction failed, so that nothing of it stays"
                )
            }
            do throws(PostgreSQLGuardError) {
                let (_, tag) = try run("COMMIT", [])
                if tag != "COMMIT" { throw PostgreSQLGuardError(.refused, "the server undid the transaction") }
            } catch {
                // These two are told before anything is committed.
                let isCertain = error.kind == .refused || ["25P03", "57014"].contains(error.sqlState)
                if isCertain { throw error }
                throw PostgreSQLGuardError(
                    .outcomeUnknown,
                    sqlState: error.sqlState,
                    "no answer to the commit, which may have happened: \(error.message)"
                )
            }
        }

        /// Undoes the transaction; what cannot be undone by a statement is undone by the end of the session.
        func rollBack() {
            do { _ = try run("ROLLBACK", []) } catch { isLost = true }
        }

        /// Whether a transaction is open in which nothing has failed.
        private var isInTransaction: Bool { PQtransactionStatus(connection) == PQTRANS_INTRANS }

        // MARK: Statements

        /// Runs one statement and waits for its end.
        ///
        /// - Returns: the rows, and what the server calls what it did.
        func run(
            _ statement: String,
            _ parameters: [String?]
        ) throws(PostgreSQLGuardError) -> (result: PostgreSQLResult, tag: String) {
            guard !parameters.contains(where: { $0?.utf8.contains(0) == true }), !statement.utf8.contains(0) else {
                throw PostgreSQLGuardError(.refused, "PostgreSQL knows no text with a zero byte in it")
            }
            guard parameters.count <= 65_535 else {
                throw PostgreSQLGuardError(
                    .refused,
                    "a statement has at most 65,535 parameters, not \(parameters.count)"
                )
            }
            try send { connection in
                withCStrings(parameters) { values in
                    PQsendQueryParams(connection, statement, Int32(parameters.count), nil, values, nil, nil, 0)
                }
            }
            return try outcome()
        }

        private func send(_ send: (OpaquePointer) -> Int32) throws(PostgreSQLGuardError) {
            guard !isLost else { throw PostgreSQLGuardError(.unreachable, "the connection has ended") }
            // What does not fit into the socket is sent while the answer is waited for.
            guard send(connection) == 1 else { throw lost(Self.failure(of: connection)) }
        }

        /// The last of the results, or the first error; reads all of them.
        private func outcome() throws(PostgreSQLGuardError) -> (result: PostgreSQLResult, tag: String) {
            // The server is the first to end what takes too long.
            let deadline = ContinuousClock.now + configuration.statementTimeout.bounded + .seconds(2)
            var last: (PostgreSQLResult, String)?
            var failure: PostgreSQLGuardError?
            while let result = try nextResult(by: deadline) {
                defer { PQclear(result) }
                switch PQresultStatus(result) {
                case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                    last = (PostgreSQLResult(result), PQcmdStatus(result).map { String(cString: $0) } ?? "")
                case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                    // It would wait for data, for ever.
                    throw lost(PostgreSQLGuardError(.refused, "COPY cannot be used in a guarded write"))
                case PGRES_EMPTY_QUERY: failure = failure ?? PostgreSQLGuardError(.refused, "the statement is empty")
                default: failure = failure ?? Self.error(of: result)
                }
            }
            while let notification = PQnotifies(connection) { PQfreemem(notification) }
            if let failure { throw PQstatus(connection) == CONNECTION_OK ? failure : lost(failure) }
            guard let last, PQstatus(connection) == CONNECTION_OK else { throw lost(Self.failure(of: connection)) }
            return last
        }

        private func nextResult(by deadline: ContinuousClock.Instant) throws(PostgreSQLGuardError) -> OpaquePointer? {
            while PQisBusy(connection) == 1 {
                let isFlushed = PQflush(connection) == 0
                let events = isFlushed ? Int16(POLLIN) : Int16(POLLIN) | Int16(POLLOUT)
                guard Self.wait(for: events, on: connection, until: deadline) else {
                    let place = Self.place(of: connection)
                    throw lost(PostgreSQLGuardError(.timedOut, "the server at \(place) did not answer in time"))
                }
                guard PQconsumeInput(connection) == 1 else { throw lost(Self.failure(of: connection)) }
            }
            return PQgetResult(connection)
        }

        /// Notes that the session cannot be used any more.
        private func lost(_ error: PostgreSQLGuardError) -> PostgreSQLGuardError {
            isLost = true
            return error
        }

        private static func error(of result: OpaquePointer) -> PostgreSQLGuardError {
            func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
            let message = field(redlock_diagnostic_message) ?? "the server answered with an error"
            let sqlState = field(redlock_diagnostic_sqlstate)
            let kind: PostgreSQLGuardError.Kind =
                switch sqlState {
                // A statement, a lock or a transaction that did nothing took too long.
                case "57014"?, "55P03"?, "25P03"?: .timedOut
                case let state? where state.hasPrefix("08") || state.hasPrefix("57P"): .unreachable
                case nil: .unreachable
                default: .refused
                }
            return PostgreSQLGuardError(kind, sqlState: sqlState, message)
        }

        private static func failure(of connection: OpaquePointer) -> PostgreSQLGuardError {
            let message = String(cString: PQerrorMessage(connection)).split(separator: "\n").joined(separator: "; ")
            return PostgreSQLGuardError(.unreachable, message.isEmpty ? "the connection has ended" : message)
        }
    }

    // MARK: Connecting

    extension PostgreSQLSession {
        /// Throws for a connection string that cannot be read, or whose parts stand where they would be told in errors.
        static func validate(_ connectionString: String) throws(PostgreSQLGuardError) {
            let options = connectionString.utf8.contains(0) ? nil : PQconninfoParse(connectionString, nil)
            // The reason that libpq gives may repeat a part of the string, and with it a password.
            let form =
                "a URL such as postgresql://user@host/database?sslmode=verify-full, or words such as host=db user=me"
            let refusal = PostgreSQLGuardError(
                .invalidConnectionString,
                "the connection string cannot be read; give \(form), with what has a meaning in a URL as %40 and the like"
            )
            guard let options else { throw refusal }
            defer { PQconninfoFree(options) }
            var option = options
            while let keyword = option.pointee.keyword {
                let value = option.pointee.val.map { String(cString: $0) } ?? ""
                switch String(cString: keyword) {
                // A password with such a sign in it has been cut in two.
                case "host", "hostaddr", "dbname": if value.contains("@") { throw refusal }
                case "port": if value.contains(where: { !$0.isNumber && $0 != "," }) { throw refusal }
                default: break
                }
                option += 1
            }
        }

        private static func beginConnecting(_ connectionString: String) -> OpaquePointer? {
            // The first is read as a whole connection string; what stands behind it goes before what it says, but for what
            // is a fallback by its name. Names of resources are compared as bytes, so all clients must send the same ones.
            withCStrings(["dbname", "client_encoding", "fallback_application_name"]) { keywords in
                withCStrings([connectionString, "UTF8", "redlock-guard"]) { values in
                    PQconnectStartParams(keywords, values, 1)
                }
            }
        }

        private static func connect(
            _ connection: OpaquePointer,
            by deadline: ContinuousClock.Instant
        ) throws(PostgreSQLGuardError) {
            guard PQstatus(connection) != CONNECTION_BAD else { throw failure(of: connection) }
            // By default libpq prints what servers remark.
            _ = PQsetNoticeReceiver(connection, { _, _ in }, nil)
            var events = Int16(POLLOUT)
            while true {
                guard wait(for: events, on: connection, until: deadline) else {
                    let place = place(of: connection)
                    throw PostgreSQLGuardError(.unreachable, "the server at \(place) did not answer in time")
                }
                switch PQconnectPoll(connection) {
                case PGRES_POLLING_OK:
                    guard PQsetnonblocking(connection, 1) == 0 else { throw failure(of: connection) }
                    return
                case PGRES_POLLING_READING: events = Int16(POLLIN)
                case PGRES_POLLING_WRITING: events = Int16(POLLOUT)
                default: throw failure(of: connection)
                }
            }
        }

        private static func place(of connection: OpaquePointer) -> String {
            let host = PQhost(connection).map { String(cString: $0) } ?? "?"
            return "\(host):\(PQport(connection).map { String(cString: $0) } ?? "?")"
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
