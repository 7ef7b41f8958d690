// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The memory and the manners of a healthy Redis server, as far as a lock client asks for them.
///
/// It knows `PING`, `ECHO`, `AUTH`, `SELECT`, `CLIENT`, `QUIT`, `TIME`, `INFO`, `CONFIG GET`, `GET`, `SET` (with `NX`,
/// `XX`, `PX`, `EX`), `DEL`, `EXISTS`, `PTTL`, `PEXPIRE`, `INCRBY`, `INCR`, `PUBLISH`, `FLUSHALL` and `SCRIPT LOAD`. It
/// cannot run Lua: `EVAL` and `EVALSHA` (which answers `NOSCRIPT` until the script was loaded, as the real one does)
/// answer what the given function makes of the script, or null.
public final class FakeRedisNode: Sendable {
    /// The keys of the node; one whose time has come is not there.
    public struct Keyspace: Sendable {
        private var entries: [String: (value: String, expiry: Duration?)] = [:]
        fileprivate var now: Duration = .zero

        /// The value of a key.
        public subscript(key: String) -> String? {
            live(key)?.value
        }

        /// The time that a key has to live, or nil if it lives for ever or is not there.
        public func timeToLive(of key: String) -> Duration? {
            live(key)?.expiry.map { $0 - now }
        }

        /// Stores a value, which goes after `timeToLive`, or never.
        public mutating func set(_ key: String, to value: String, timeToLive: Duration? = nil) {
            entries[key] = (value, timeToLive.map { now + $0 })
        }

        /// Removes a key; false if it was not there.
        @discardableResult
        public mutating func remove(_ key: String) -> Bool {
            let wasThere = live(key) != nil
            entries[key] = nil
            return wasThere
        }

        /// Removes all keys.
        public mutating func removeAll() {
            entries.removeAll()
        }

        private func live(_ key: String) -> (value: String, expiry: Duration?)? {
            guard let entry = entries[key], entry.expiry.map({ $0 > now }) ?? true else { return nil }
            return entry
        }
    }

    /// What the node knows of one connection.
    struct Session {
        var isAuthenticated = false
        var isEnded = false
    }

    struct State {
        var keyspace = Keyspace()
        /// The sources of loaded scripts by their SHA-1.
        var scripts: [String: String] = [:]
    }

    let runID: String
    let password: String?
    let evaluate: @Sendable (String, [String], [String], inout Keyspace) -> ScriptedReply?
    private let state = Mutex(State())
    private let intercept: @Sendable ([String]) -> ScriptedReply?
    private let timeSinceStart: @Sendable () -> Duration
    private let wallClockAtStart: Duration

    /// A node without keys.
    ///
    /// - Parameters:
    ///   - password: what `AUTH` must give before anything else, if not nil.
    ///   - clock: decides when keys expire, and how `TIME` goes on from the wall clock of now.
    ///   - intercept: sees every command first, and may answer it in place of the node.
    ///   - evaluate: stands in for Lua: gets the source of a script, its keys and its arguments.
    public init(
        password: String? = nil,
        clock: some Clock<Duration> = ContinuousClock(),
        intercept: @escaping @Sendable (_ command: [String]) -> ScriptedReply? = { _ in nil },
        evaluate:
            @escaping @Sendable (
                _ script: String, _ keys: [String], _ arguments: [String], _ keyspace: inout Keyspace
            ) -> ScriptedReply? = { _, _, _, _ in nil }
    ) {
        let start = clock.now
        var wallClock = timespec()
        clock_gettime(CLOCK_REALTIME, &wallClock)
        self.runID = (0..<40).map { _ in String(Int.random(in: 0..<16), radix: 16) }.joined()
        self.password = password
        self.evaluate = evaluate
        self.intercept = intercept
        self.timeSinceStart = { start.duration(to: clock.now) }
        self.wallClockAtStart = .seconds(wallClock.tv_sec) + .nanoseconds(wallClock.tv_nsec)
    }

    /// Looks at the keys of the node, or changes them behind the back of its clients.
    public func withKeyspace<Result: Sendable>(_ body: (inout Keyspace) -> Result) -> Result {
        withState { body(&$0.keyspace) }
    }

    /// Answers a command of one connection.
    func reply(to command: [String], session: inout Session) -> ScriptedReply {
        if let reply = intercept(command) {
            return reply
        }
        guard let name = command.first?.uppercased() else { return .error("ERR empty command") }
        let arguments = Array(command.dropFirst())
        if let reply = replyOnConnection(to: name, arguments, session: &session) {
            return reply
        }
        guard session.isAuthenticated || password == nil else { return .error("NOAUTH Authentication required.") }
        return withState { state in
            replyOnNode(to: name, arguments)
                ?? replyOnScripts(to: name, arguments, state: &state)
                ?? replyOnKeys(to: name, arguments, keyspace: &state.keyspace)
                ?? .error("ERR unknown command '\(name)'")
        }
    }

    /// The time on the node's own clock, since 1970.
    var time: Duration {
        wallClockAtStart + timeSinceStart()
    }

    private func withState<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            state.keyspace.now = timeSinceStart()
            return body(&state)
        }
    }
}
