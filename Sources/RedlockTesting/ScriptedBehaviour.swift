// SPDX-License-Identifier: Apache-2.0

/// What a ``ScriptedServer`` does with a client.
///
/// The connection is closed when the behaviour ends, unless it has closed it before.
public struct ScriptedBehaviour: Sendable {
    let play: @Sendable (ScriptedConnection) async throws -> Void

    /// A behaviour in code, which runs once for every connection; ``ScriptedConnection/number`` tells them apart.
    public init(_ play: @escaping @Sendable (ScriptedConnection) async throws -> Void) {
        self.play = play
    }

    /// One step of a script.
    public enum Step: Sendable {
        /// Waits for a command.
        case receive
        /// Sends text as it is.
        case send(String)
        /// Lets time pass.
        case pause(Duration)
        /// Closes the connection as a host that lost its memory of it. (At the end of the script it is closed anyway.)
        case reset
        /// Keeps the connection open and does nothing.
        case never
    }

    /// Plays steps one after another, then closes the connection.
    public static func script(_ steps: Step...) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            for step in steps {
                switch step {
                case .receive: _ = try await connection.receive()
                case .send(let text): try await connection.send(text)
                case .pause(let duration): try await Task.sleep(for: duration)
                case .reset: await connection.close(reset: true)
                case .never: try await connection.never()
                }
            }
        }
    }

    /// Answers every command with what `reply` makes of it, for as long as the client wants.
    public static func answering(
        _ reply: @escaping @Sendable ([String]) async throws -> ScriptedReply
    ) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            while true {
                try await connection.send(try await reply(connection.receive()))
            }
        }
    }

    /// Gives the first connection the first behaviour and so on; the last one also serves all that follow.
    public static func perConnection(_ first: ScriptedBehaviour, _ others: ScriptedBehaviour...) -> ScriptedBehaviour {
        let behaviours = [first] + others
        return ScriptedBehaviour { connection in
            try await behaviours[min(connection.number, behaviours.count) - 1].play(connection)
        }
    }
}

// MARK: - Servers that misbehave

extension ScriptedBehaviour {
    /// Accepts and never answers: a server stopped with SIGSTOP, or hanging on a dead disk.
    public static let acceptsAndNeverAnswers = script(.never)

    /// Closes the connection before a word was said: `maxclients`, or a load balancer without a server.
    public static let closesAtOnce = script()

    /// Sends the beginning of a reply to the first command, then closes: a server that died in the middle of a reply.
    public static let closesMidReply = script(.receive, .send("$40\r\n0123456789"))

    /// Answers the first command in another protocol: the port belongs to a web server.
    public static let answersHTTP = ScriptedBehaviour { connection in
        // The commands of a client are not HTTP either, but a web server answers whatever it reads.
        _ = try? await connection.receive()
        try await connection.send(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request"
        )
    }

    /// Announces an array of 2,147,483,647 elements in answer to the first command, and nothing after it: a client that
    /// believes it spends gigabytes.
    public static let hugeArray = script(.receive, .send("*2147483647\r\n"), .never)

    /// Announces a text of 512 MB in answer to the first command, and nothing after it.
    public static let hugeText = script(.receive, .send("$536870912\r\n"), .never)

    /// Nests arrays 10,000 deep in answer to the first command: a reader that recurses overflows its stack.
    public static let deepArray = script(.receive, .send(String(repeating: "*1\r\n", count: 10_000)), .never)

    /// Answers the first command twice, so that the second reply seems to belong to the next command.
    public static let surplusReply = script(.receive, .send("-ERR x\r\n+OK\r\n"), .never)

    /// Sends two replies before the client has said anything.
    public static let speaksFirst = script(.send("+OK\r\n+OK\r\n"), .never)

    /// Answers the first command with bytes that are no Redis protocol.
    public static let garbage = ScriptedBehaviour { connection in
        _ = try await connection.receive()
        var random = SeededRandom(seed: UInt64(connection.number))
        // No type of reply begins with zero, so the first byte is wrong already.
        try await connection.send([0] + (0..<256).map { _ in UInt8.random(in: .min ... .max, using: &random) })
        try await connection.never()
    }

    /// Answers every command, one byte of the reply every `interval`: it never stays silent for long, and never ends.
    public static func trickles(
        _ reply: ScriptedReply = .ok,
        interval: Duration = .milliseconds(20)
    ) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            while true {
                _ = try await connection.receive()
                for byte in reply.encoded.utf8 {
                    try await connection.send([byte])
                    try await Task.sleep(for: interval)
                }
            }
        }
    }

    /// Answers every command with the same reply.
    public static func always(_ reply: ScriptedReply) -> ScriptedBehaviour {
        answering { _ in reply }
    }

    /// Loads its data set after a start, and refuses everything until it has.
    public static let loading = always(.error("LOADING Redis is loading the dataset in memory"))

    /// Has another password than the client believes.
    public static let wrongPassword = answering { command in
        switch command.first?.uppercased() {
        case "AUTH", "HELLO": .error("WRONGPASS invalid username-password pair or user is disabled.")
        default: .error("NOAUTH Authentication required.")
        }
    }

    /// Answers like a healthy server with a memory of its own; several servers may share one node.
    public static func healthyNode(_ node: FakeRedisNode = FakeRedisNode()) -> ScriptedBehaviour {
        ScriptedBehaviour { connection in
            var session = FakeRedisNode.Session()
            while !session.isEnded {
                let command = try await connection.receive()
                try await connection.send(node.reply(to: command, session: &session))
            }
        }
    }
}
