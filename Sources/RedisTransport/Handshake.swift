// SPDX-License-Identifier: Apache-2.0

internal import Hiredis

/// What is said first on every connection, in one write, and what the answers mean.
struct Handshake {
    /// The commands, in the order in which they are sent.
    let commands: [[String]]

    private let signsIn: Bool
    private let selectsDatabase: Bool
    private let ownCount: Int

    /// The handshake with an endpoint: sign in, choose the database, give the connection a name, and then whatever
    /// the layer above wants to know of a new connection.
    init(endpoint: RedisEndpoint, connectionName: String, furtherCommands: [[String]]) {
        var commands: [[String]] = []
        if let password = endpoint.password {
            commands.append(["AUTH"] + (endpoint.username.map { [$0] } ?? []) + [password])
        }
        if endpoint.database != 0 { commands.append(["SELECT", String(endpoint.database)]) }
        commands.append(["CLIENT", "SETNAME", connectionName])
        signsIn = endpoint.password != nil
        selectsDatabase = endpoint.database != 0
        ownCount = commands.count
        self.commands = commands + furtherCommands
    }

    /// Judges the answers; returns those to the further commands.
    func judge(_ replies: [RESPValue]) throws(NodeFailure) -> [RESPValue] {
        var own = replies.prefix(ownCount)
        if signsIn, let reply = own.popFirst() {
            try Self.require(reply, meaning: "sign in", otherwise: .authentication)
        }
        if selectsDatabase, let reply = own.popFirst() {
            try Self.require(reply, meaning: "choose the database", otherwise: .permission)
        }
        // Whether the name could be set does not matter; whether the server wants a password, or is not ready, does.
        for case .error(let text) in replies {
            if let failure = Self.failure(inErrorReply: text) { throw failure }
        }
        return Array(replies.dropFirst(ownCount))
    }

    private static func require(
        _ reply: RESPValue,
        meaning step: String,
        otherwise kind: NodeFailure.Kind
    ) throws(NodeFailure) {
        if case .simpleString("OK") = reply { return }
        guard case .error(let text) = reply else {
            throw NodeFailure(.protocolViolation, "the server gave no sensible answer to the attempt to \(step)")
        }
        if let failure = failure(inErrorReply: text) { throw failure }
        throw NodeFailure(kind, "the server refused to \(step): \(text.withoutEchoedArguments.printable())")
    }

    /// The error replies that make a connection useless, whatever was asked.
    private static func failure(inErrorReply text: String) -> NodeFailure? {
        let code = text.prefix { $0 != " " }
        switch code {
        case "NOAUTH": return NodeFailure(.authentication, "the server wants a password, and none is configured")
        case "WRONGPASS": return NodeFailure(.authentication, "the server refused the user or the password")
        case "DENIED": return NodeFailure(.permission, "the server is in protected mode and refuses this client")
        case "LOADING": return NodeFailure(.notServing, "the server is still loading its data")
        case "BUSY": return NodeFailure(.notServing, "the server is busy with a script")
        case "MASTERDOWN": return NodeFailure(.notServing, "the server is a replica without its master")
        default:
            if text.hasPrefix("ERR max number of clients") {
                return NodeFailure(.notServing, "the server has reached its maximum number of clients")
            }
            return nil
        }
    }
}

extension Handshake: CustomReflectable {
    /// Shows how many commands there are and not which: one of them has the password.
    var customMirror: Mirror { Mirror(self, children: ["commands": commands.count]) }
}
