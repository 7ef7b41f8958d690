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
            if let failure = NodeFailure(errorReply: text) { throw failure }
        }
        return Array(replies.dropFirst(ownCount))
    }

    private static func require(
        _ reply: RESPValue,
        meaning step: String,
        otherwise kind: NodeFailure.Kind
    ) throws(NodeFailure) {
        if case .simpleString("OK") = reply { return }
        throw NodeFailure(attemptTo: step, answeredWith: reply, otherwise: kind)
    }
}

extension Handshake: CustomReflectable {
    /// Shows how many commands there are and not which: one of them has the password.
    var customMirror: Mirror { Mirror(self, children: ["commands": commands.count]) }
}
