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
        private let configuration: PostgreSQLDatabase.Configuration
        /// The statements that the server has prepared for this session.
        private var prepared = PreparedStatements()
        /// Set when it is not known what the server is doing.
        private var isLost = false

        init(
            _ connectionString: String,
            configuration: PostgreSQLDatabase.Configuration
        ) throws(StorageError) {
            self.configuration = configuration
            let begun = Self.beginConnecting(connectionString)
            guard let begun else { throw StorageError(.unreachable, "no memory for a connection") }
            connection = begun
            do throws(StorageError) {
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

        /// Begins a transaction with the limits of the configuration, whatever statements before have set.
        ///
        /// - Parameter deadline: by when each statement must end; nil for the limits alone.
        func begin(_ access: SQLAccess = .writing, by deadline: ContinuousClock.Instant? = nil) throws(StorageError) {
            let left = deadline.map { max(.zero, $0 - ContinuousClock.now) } ?? configuration.statementTimeout
            let statement = max(1, min(configuration.statementTimeout, left).wholeMilliseconds)
            let idle = max(1, configuration.idleTransactionTimeout.wholeMilliseconds)
            let mode = access == .reading ? "READ ONLY" : "READ WRITE"
            try send { connection in
                PQsendQuery(
                    connection,
                    """
                    BEGIN ISOLATION LEVEL READ COMMITTED \(mode);
                    SET LOCAL statement_timeout = \(statement);
                    SET LOCAL idle_in_transaction_session_timeout = \(idle)
                    """
                )
            }
            _ = try answer()
        }

        /// Runs a statement that must not end the transaction.
        func runInTransaction(
            _ statement: String,
            _ parameters: [SQLValue],
            isPrepared: Bool = false
        ) throws(StorageError) -> PostgreSQLAnswer {
            // Some errors end the transaction altogether: what followed would be written without the guard.
            guard PQtransactionStatus(connection) != PQTRANS_IDLE else {
                throw StorageError(.refused, "the transaction was ended by an error of a statement before")
            }
            let answer = try run(statement, parameters, isPrepared: isPrepared)
            let tag = answer.tag
            // A return to a savepoint has the same tag as the end of everything.
            let isEnd =
                ["COMMIT", "BEGIN", "START TRANSACTION", "PREPARE TRANSACTION"].contains(tag)
                || tag == "ROLLBACK" && (!isInTransaction || statement.lowercased().contains("chain"))
            guard !isEnd else {
                isLost = true
                throw StorageError(
                    .outcomeUnknown,
                    "a statement ended the transaction (\(tag)): what was before it may stay"
                )
            }
            return answer
        }

        /// Commits; what fails for certain is told apart from what may have happened.
        func commit() throws(StorageError) {
            guard !isLost else {
                throw StorageError(
                    .outcomeUnknown,
                    "the connection ended inside the transaction, or a statement ended it"
                )
            }
            guard isInTransaction else {
                throw StorageError(
                    .refused,
                    "a statement of the transaction failed, so that nothing of it stays"
                )
            }
            do throws(StorageError) {
                let tag = try run("COMMIT", []).tag
                if tag != "COMMIT" { throw StorageError(.refused, "the server undid the transaction") }
            } catch {
                // These are told before anything is committed.
                let isCertain =
                    [.refused, .conflict].contains(error.code) || ["25P03", "57014"].contains(error.sqlState)
                if isCertain { throw error }
                throw StorageError(
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
        /// - Parameter isPrepared: whether the server is to keep it, for the next time.
        func run(
            _ statement: String,
            _ parameters: [SQLValue],
            isPrepared: Bool = false
        ) throws(StorageError) -> PostgreSQLAnswer {
            let texts = parameters.map(\.postgreSQLText)
            guard !texts.contains(where: { $0?.utf8.contains(0) == true }), !statement.utf8.contains(0) else {
                throw StorageError(.refused, "PostgreSQL knows no text with a zero byte in it")
            }
            guard parameters.count <= 65_535 else {
                throw StorageError(.refused, "a statement has at most 65,535 parameters, not \(parameters.count)")
            }
            let types = parameters.map(\.postgreSQLType)
            if isPrepared, configuration.keepsPreparedStatements {
                let name = try prepare(statement, types)
                try send { connection in
                    withCStrings(texts) { values in
                        PQsendQueryPrepared(connection, name, Int32(texts.count), values, nil, nil, 0)
                    }
                }
            } else {
                try send { connection in
                    withCStrings(texts) { values in
                        PQsendQueryParams(connection, statement, Int32(texts.count), types, values, nil, nil, 0)
                    }
                }
            }
            do throws(StorageError) {
                return try answer()
            } catch {
                // The tables have changed under a plan, or the server has none of that name (any more).
                if isPrepared, ["0A000", "26000"].contains(error.sqlState) {
                    prepared = PreparedStatements(after: prepared)
                    throw StorageError(.conflict, sqlState: error.sqlState, error.message)
                }
                throw error
            }
        }

        /// Has the server prepare a statement, unless it has; returns its name there.
        private func prepare(_ statement: String, _ types: [Oid]) throws(StorageError) -> String {
            if let name = prepared.name(of: statement, types) { return name }
            if let oldest = prepared.removeOldest() {
                try send { PQsendQueryParams($0, "DEALLOCATE \(oldest)", 0, nil, nil, nil, nil, 0) }
                _ = try answer()
            }
            let name = prepared.nextName()
            try send { PQsendPrepare($0, name, statement, Int32(types.count), types) }
            _ = try answer()
            prepared.insert(name, for: statement, types)
            return name
        }

        private func send(_ send: (OpaquePointer) -> Int32) throws(StorageError) {
            guard !isLost else { throw StorageError(.unreachable, "the connection has ended") }
            // What does not fit into the socket is sent while the answer is waited for.
            guard send(connection) == 1 else { throw lost(Self.failure(of: connection)) }
        }

        /// The last of the results, or the first error; reads all of them.
        private func answer() throws(StorageError) -> PostgreSQLAnswer {
            // The server is the first to end what takes too long.
            let deadline = ContinuousClock.now + configuration.statementTimeout.bounded + .seconds(2)
            var last: PostgreSQLAnswer?
            var failure: StorageError?
            while let result = try nextResult(by: deadline) {
                defer { PQclear(result) }
                switch PQresultStatus(result) {
                case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                    last = PostgreSQLAnswer(result)
                case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                    // It would wait for data, for ever.
                    throw lost(StorageError(.refused, "COPY cannot be used here"))
                case PGRES_EMPTY_QUERY: failure = failure ?? StorageError(.refused, "the statement is empty")
                default: failure = failure ?? Self.error(of: result)
                }
            }
            while let notification = PQnotifies(connection) { PQfreemem(notification) }
            if let failure { throw PQstatus(connection) == CONNECTION_OK ? failure : lost(failure) }
            guard let last, PQstatus(connection) == CONNECTION_OK else { throw lost(Self.failure(of: connection)) }
            return last
        }

        private func nextResult(by deadline: ContinuousClock.Instant) throws(StorageError) -> OpaquePointer? {
            while PQisBusy(connection) == 1 {
                let isFlushed = PQflush(connection) == 0
                let events = isFlushed ? Int16(POLLIN) : Int16(POLLIN) | Int16(POLLOUT)
                guard Self.wait(for: events, on: connection, until: deadline) else {
                    let place = Self.place(of: connection)
                    throw lost(StorageError(.timedOut, "the server at \(place) did not answer in time"))
                }
                guard PQconsumeInput(connection) == 1 else { throw lost(Self.failure(of: connection)) }
            }
            return PQgetResult(connection)
        }

        /// Notes that the session cannot be used any more.
        private func lost(_ error: StorageError) -> StorageError {
            isLost = true
            return error
        }

        private static func error(of result: OpaquePointer) -> StorageError {
            func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
            let message = field(redlock_diagnostic_message) ?? "the server answered with an error"
            let sqlState = field(redlock_diagnostic_sqlstate)
            let code: StorageError.Code =
                switch sqlState {
                // A statement, a lock or a transaction that did nothing took too long.
                case "57014"?, "55P03"?, "25P03"?: .timedOut
                // Another transaction was in the way: serialization_failure, deadlock_detected.
                case "40001"?, "40P01"?: .conflict
                case let state? where state.hasPrefix("08") || state.hasPrefix("57P"): .unreachable
                case nil: .unreachable
                default: .refused
                }
            return StorageError(code, sqlState: sqlState, message)
        }

        private static func failure(of connection: OpaquePointer) -> StorageError {
            let message = String(cString: PQerrorMessage(connection)).split(separator: "\n").joined(separator: "; ")
            return StorageError(.unreachable, message.isEmpty ? "the connection has ended" : message)
        }
    }

    // MARK: Connecting

    extension PostgreSQLSession {
        /// Throws for a connection string that cannot be read, or whose parts stand where they would be told in errors.
        static func validate(_ connectionString: String) throws(StorageError) {
            let options = connectionString.utf8.contains(0) ? nil : PQconninfoParse(connectionString, nil)
            // The reason that libpq gives may repeat a part of the string, and with it a password.
            let form =
                "a URL such as postgresql://user@host/database?sslmode=verify-full, or words such as host=db user=me"
            let refusal = StorageError(
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
        ) throws(StorageError) {
            guard PQstatus(connection) != CONNECTION_BAD else { throw failure(of: connection) }
            // By default libpq prints what servers remark.
            _ = PQsetNoticeReceiver(connection, { _, _ in }, nil)
            var events = Int16(POLLOUT)
            while true {
                guard wait(for: events, on: connection, until: deadline) else {
                    let place = place(of: connection)
                    throw StorageError(.unreachable, "the server at \(place) did not answer in time")
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
