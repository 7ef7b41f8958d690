// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// One private redis-server process on 127.0.0.1, with a directory of its own.
///
/// Operations on different servers may overlap; those that start or end the same server are to follow one another.
public final class LocalRedisServer: Sendable {
    /// What a server is doing.
    public enum State: String, Sendable {
        /// The process runs.
        case running
        /// The process is stopped (STOP): connections stay open, nothing answers.
        case paused
        /// There is no process.
        case dead
    }

    /// What a restarted server finds of its data.
    public enum Data: Sendable {
        /// What its persistence kept.
        case kept
        /// Nothing, as after a lost disk.
        case emptied
    }

    private struct Current {
        var port: Int
        var process: ServerProcess?
        var startedAt: Date?
    }

    /// The place in its set, from 1.
    public let number: Int
    let files: ServerFiles
    let options: LocalRedisOptions
    private let current: Mutex<Current>

    init(number: Int, port: Int, files: ServerFiles, options: LocalRedisOptions) {
        self.number = number
        self.files = files
        self.options = options
        self.current = Mutex(Current(port: port))
    }

    /// A server that an earlier process may have started.
    init(number: Int, files: ServerFiles, options: LocalRedisOptions) throws {
        let record = try files.readRecord()
        self.number = number
        self.files = files
        self.options = options
        self.current = Mutex(
            Current(
                port: record.port,
                process: record.process.map { ServerProcess(recorded: $0) },
                startedAt: record.startedAt
            )
        )
    }

    // MARK: What it is

    /// The directory of this server's files.
    public var directory: String { files.directory }
    /// The TCP port on 127.0.0.1; it stays the same over restarts.
    public var port: Int { current.withLock { $0.port } }
    /// `redis://127.0.0.1:PORT`, or `rediss://` with TLS; without any password.
    public var url: String { "\(options.tls == nil ? "redis" : "rediss")://127.0.0.1:\(port)" }
    /// The Unix socket, on which the server listens too.
    public var unixSocketPath: String { files.socket }
    /// `redis+unix://` and the percent-encoded path of the socket.
    public var unixSocketURL: String {
        "redis+unix://\(percentEncodedPath(files.socket))"
    }
    /// Whether it runs, is paused, or is dead; looked up now.
    public var state: State {
        switch process?.condition {
        case .running: .running
        case .paused: .paused
        case .dead, nil: .dead
        }
    }
    /// Whether there is a process, paused or not.
    public var isRunning: Bool { state != .dead }
    /// The process id, while there is a process.
    public var pid: Int32? {
        guard let process, process.condition != .dead else { return nil }
        return process.identity.pid
    }
    /// How long the process has been there, by the wall clock; nil while it is dead.
    public var uptime: Duration? {
        guard isRunning, let startedAt = current.withLock({ $0.startedAt }) else { return nil }
        return .seconds(Date().timeIntervalSince(startedAt))
    }
    /// The end of the server's log, a few lines.
    public var logTail: String { ServerFiles.tail(of: files.logText(fromByte: 0)) }

    private var process: ServerProcess? { current.withLock { $0.process } }

    // MARK: What can be done to it

    /// Starts the server, if it is dead, and returns when it answers.
    ///
    /// - Throws: `LocalRedisError` with the end of the server's log when it does not come up, or `CancellationError`;
    ///   no process is left then.
    public func start() async throws {
        guard state == .dead else { return }
        try await launch(port: port)
    }

    /// Ends the process as a crash does (KILL) and returns when it is gone.
    public func kill() async {
        guard let process, process.signal(SIGKILL) else { return }
        _ = await process.hasEnded(within: .seconds(30))
    }

    /// Stops the process (STOP), so that its connections stay open and nothing answers; returns when it stands still.
    ///
    /// - Throws: `LocalRedisError` if it is not running.
    public func pause() async throws {
        try await change(with: SIGSTOP, until: .paused)
    }

    /// Lets a paused process go on (CONT).
    ///
    /// - Throws: `LocalRedisError` if it is not running.
    public func resume() async throws {
        try await change(with: SIGCONT, until: .running)
    }

    /// Asks the process to end (TERM), ends it by KILL if it has not after the time, and returns when it is gone.
    public func stop(within limit: Duration = .seconds(5)) async {
        guard let process, process.signal(SIGTERM) else { return }
        process.signal(SIGCONT)  // a paused process takes TERM only when it goes on
        if await process.hasEnded(within: limit) { return }
        await kill()
    }

    /// Stops the server if it runs, and starts it in the same directory and on the same port.
    ///
    /// - Throws: as `start()`.
    public func restart(_ data: Data = .kept) async throws {
        await stop()
        if data == .emptied { try files.removeData() }
        try await start()
    }

    /// Sends one command over the Unix socket, on a connection of its own.
    ///
    /// - Returns: a simple or bulk string or a number as text, an array as lines, nil for a null reply.
    /// - Throws: `LocalRedisError` with the server's error reply, or when it does not answer in time.
    @discardableResult
    public func send(_ arguments: String..., timeout: Duration = .seconds(5)) async throws -> String? {
        let path = files.socket
        let name = "server \(number)"
        return try await offPool {
            do {
                var socket = try ControlSocket(path: path, timeout: timeout)
                switch try socket.send(arguments) {
                case .text(let text): return text
                case .none: return nil
                case .error(let text): throw LocalRedisError(.command, "\(name) answered: \(text)")
                }
            } catch let failure as ControlSocket.Failure {
                throw LocalRedisError(.command, "\(name) \(failure.text)")
            }
        }
    }

    // MARK: How it starts

    /// Makes the directory and the record of a server that was never started.
    func writeFirstRecord() throws {
        try files.create()
        try files.write(.init(port: port))
    }

    /// Starts on the given port.
    func launch(port: Int) async throws {
        try files.writeConfiguration(port: port, options: options)
        current.withLock { $0.port = port }
        let logStart = files.logLengthBytes
        // A socket file left by a killed server would only delay: connecting to it fails.
        try? FileManager.default.removeItem(atPath: files.socket)
        let process = try await spawn()
        let startedAt = Date()
        current.withLock { state in
            state.process = process
            state.startedAt = startedAt
        }
        do {
            // Before it answers: should we die now, the record lets somebody find and end it.
            try files.write(.init(port: port, process: process.identity, startedAt: startedAt))
            try await waitUntilItAnswers(process, port: port, logStart: logStart)
        } catch {
            await kill()
            throw error
        }
    }

    private func spawn() async throws -> ServerProcess {
        let start = ProgramStart(
            program: options.executable,
            arguments: [files.configuration],
            environment: environment,
            directory: files.directory,
            outputFile: files.log,
            lifetime: options.lifetime
        )
        do {
            return try await SpawnThread.shared.spawn(start)
        } catch {
            if error.number == ENOENT {
                throw LocalRedisError(
                    .notInstalled,
                    "\(options.executable) was not found; install Redis (Debian, Ubuntu: apt install redis-server; "
                        + "macOS: brew install redis) or put it into PATH"
                )
            }
            throw LocalRedisError(.notStarted, "\(options.executable) cannot be executed: \(errorText(error.number))")
        }
    }

    // A server needs little, and what it does not get (passwords of ours, for example) it cannot show.
    private static let commonEnvironment: [String: String] = {
        let names: Set = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"]
        return ProcessInfo.processInfo.environment.filter { names.contains($0.key) }
    }()

    private var environment: [String] {
        let additional = options.additionalEnvironment[number] ?? [:]
        return Self.commonEnvironment.merging(additional) { $1 }.map { "\($0.key)=\($0.value)" }
    }

    private func waitUntilItAnswers(_ process: ServerProcess, port: Int, logStart: Int) async throws {
        let path = files.socket
        let deadline = ContinuousClock.now + options.startTimeout
        var interval = 1
        while true {
            try Task.checkCancellation()
            if process.condition == .dead {
                let log = files.logText(fromByte: logStart)
                if log.firstRange(of: "Address already in use") != nil {
                    throw LocalRedisError(.portTaken, "port \(port) on 127.0.0.1 is taken by another program")
                }
                throw LocalRedisError(
                    .notStarted,
                    "server \(number) ended at once; its log \(files.log) says:\n" + ServerFiles.tail(of: log)
                )
            }
            if try await offPool({ Self.answers(path: path) }) { return }
            if ContinuousClock.now >= deadline {
                throw LocalRedisError(
                    .notStarted,
                    "server \(number) did not answer within \(options.startTimeout); its log \(files.log) says:\n"
                        + ServerFiles.tail(of: files.logText(fromByte: logStart))
                )
            }
            await waitUncancelled(milliseconds: interval)
            interval = min(interval * 2, 16)
        }
    }

    // An error reply (a password is needed, say) is an answer, except the one that says it still loads its data.
    private static func answers(path: String) -> Bool {
        guard var socket = try? ControlSocket(path: path, timeout: .milliseconds(250)),
            let reply = try? socket.send(["PING"])
        else { return false }
        if case .error(let text) = reply { return !text.hasPrefix("LOADING") }
        return true
    }

    private func change(with signal: Int32, until wanted: ServerProcess.Condition) async throws {
        guard let process, process.signal(signal) else {
            throw LocalRedisError(.notRunning, "server \(number) (\(url)) is not running")
        }
        let isDone = await eventually(within: .seconds(10)) { process.condition == wanted }
        guard isDone else {
            throw LocalRedisError(.notRunning, "server \(number) (\(url)) did not follow signal \(signal)")
        }
    }
}
