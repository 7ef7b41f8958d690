// SPDX-License-Identifier: Apache-2.0

extension FakeRedisNode {
    /// Commands that concern the connection, of which some are allowed before the password was given.
    func replyOnConnection(to name: String, _ arguments: [String], session: inout Session) -> ScriptedReply? {
        switch (name, arguments.count) {
        case ("AUTH", 1), ("AUTH", 2):
            guard let password else {
                return .error(
                    "ERR AUTH <password> called without any password configured for the default user. "
                        + "Are you sure your configuration is correct?"
                )
            }
            session.isAuthenticated = arguments.last == password
            return session.isAuthenticated
                ? .ok : .error("WRONGPASS invalid username-password pair or user is disabled.")
        case ("QUIT", _):
            session.isEnded = true
            return .ok
        default:
            return nil
        }
    }

    /// Commands that concern the server and not its keys.
    func replyOnNode(to name: String, _ arguments: [String]) -> ScriptedReply? {
        switch (name, arguments.count) {
        case ("PING", 0):
            return .status("PONG")
        case ("PING", 1), ("ECHO", 1):
            return .text(arguments[0])
        case ("CLIENT", 1...):
            return arguments[0].uppercased() == "ID" ? .integer(1) : .ok
        case ("SELECT", 1):
            // All databases are one: a lock client uses one.
            return Int(arguments[0]).map { (0..<16).contains($0) } == true
                ? .ok : .error("ERR DB index is out of range")
        case ("TIME", 0):
            let (seconds, attoseconds) = time.components
            return .array([.text("\(seconds)"), .text("\(attoseconds / 1_000_000_000_000)")])
        case ("INFO", _):
            return .text(information)
        case ("CONFIG", 2) where arguments[0].uppercased() == "GET":
            guard arguments[1] == "*appendfsync*" else { return .array([]) }
            return .array(["no-appendfsync-on-rewrite", "no", "appendfsync", "everysec"].map { .text($0) })
        case ("PUBLISH", 2):
            return .integer(0)
        default:
            return nil
        }
    }

    /// Commands that load and run scripts.
    func replyOnScripts(to name: String, _ arguments: [String], state: inout State) -> ScriptedReply? {
        switch (name, arguments.count) {
        case ("SCRIPT", 2) where arguments[0].uppercased() == "LOAD":
            let digest = SHA1.hexDigest(of: arguments[1])
            state.scripts[digest] = arguments[1]
            return .text(digest)
        case ("SCRIPT", 1...) where arguments[0].uppercased() == "FLUSH":
            state.scripts.removeAll()
            return .ok
        case ("EVAL", 2...):
            state.scripts[SHA1.hexDigest(of: arguments[0])] = arguments[0]
            return run(arguments[0], Array(arguments.dropFirst()), state: &state)
        case ("EVALSHA", 2...):
            guard let script = state.scripts[arguments[0].lowercased()] else {
                return .error("NOSCRIPT No matching script. Please use EVAL.")
            }
            return run(script, Array(arguments.dropFirst()), state: &state)
        default:
            return nil
        }
    }

    /// Commands that read and write keys.
    func replyOnKeys(to name: String, _ arguments: [String], keyspace: inout Keyspace) -> ScriptedReply? {
        switch (name, arguments.count) {
        case ("GET", 1):
            return keyspace[arguments[0]].map(ScriptedReply.text) ?? .null
        case ("SET", 2...):
            return set(arguments, keyspace: &keyspace)
        case ("DEL", 1...), ("UNLINK", 1...):
            return .integer(arguments.count { keyspace.remove($0) })
        case ("EXISTS", 1...):
            return .integer(arguments.count { keyspace[$0] != nil })
        case ("PTTL", 1):
            guard keyspace[arguments[0]] != nil else { return .integer(-2) }
            return .integer(keyspace.timeToLive(of: arguments[0]).map { Int($0.nanoseconds / 1_000_000) } ?? -1)
        case ("PEXPIRE", 2):
            guard let milliseconds = Int(arguments[1]) else { return Self.notAnInteger }
            guard let value = keyspace[arguments[0]] else { return .integer(0) }
            keyspace.set(arguments[0], to: value, timeToLive: .milliseconds(milliseconds))
            return .integer(1)
        case ("INCR", 1), ("INCRBY", 2):
            guard let current = Int(keyspace[arguments[0]] ?? "0"), let step = Int(arguments.dropFirst().first ?? "1")
            else { return Self.notAnInteger }
            let (sum, overflow) = current.addingReportingOverflow(step)
            guard !overflow else { return .error("ERR increment or decrement would overflow") }
            keyspace.set(arguments[0], to: "\(sum)", timeToLive: keyspace.timeToLive(of: arguments[0]))
            return .integer(sum)
        case ("FLUSHALL", _), ("FLUSHDB", _):
            keyspace.removeAll()
            return .ok
        default:
            return nil
        }
    }

    private static let notAnInteger = ScriptedReply.error("ERR value is not an integer or out of range")

    private func set(_ arguments: [String], keyspace: inout Keyspace) -> ScriptedReply {
        var timeToLive: Duration?
        var mustExist: Bool?
        var options = arguments.dropFirst(2).makeIterator()
        while let option = options.next()?.uppercased() {
            switch option {
            case "NX": mustExist = false
            case "XX": mustExist = true
            case "PX", "EX":
                guard let number = options.next().flatMap(Int.init) else { return Self.notAnInteger }
                guard number > 0 else { return .error("ERR invalid expire time in 'set' command") }
                timeToLive = option == "PX" ? .milliseconds(number) : .seconds(number)
            default: return .error("ERR syntax error")
            }
        }
        if let mustExist, mustExist != (keyspace[arguments[0]] != nil) {
            return .null
        }
        keyspace.set(arguments[0], to: arguments[1], timeToLive: timeToLive)
        return .ok
    }

    private func run(_ script: String, _ arguments: [String], state: inout State) -> ScriptedReply {
        guard let keyCount = Int(arguments[0]), (0..<arguments.count).contains(keyCount) else {
            return .error("ERR Number of keys can't be greater than number of args")
        }
        let keys = Array(arguments[1...].prefix(keyCount))
        let others = Array(arguments.dropFirst(1 + keyCount))
        return evaluate(script, keys, others, &state.keyspace) ?? .null
    }

    private var information: String {
        """
        # Server\r
        redis_version:7.0.15\r
        run_id:\(runID)\r
        # Memory\r
        maxmemory:0\r
        maxmemory_policy:noeviction\r
        # Persistence\r
        loading:0\r
        aof_enabled:0\r
        # Stats\r
        evicted_keys:0\r
        # Replication\r
        role:master\r

        """
    }
}
