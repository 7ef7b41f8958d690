// SPDX-License-Identifier: Apache-2.0

internal import Hiredis

/// What somebody published to a channel that a connection is subscribed to.
struct PublishedMessage {
    /// The name of the channel.
    let channel: [UInt8]

    /// What was published.
    let payload: [UInt8]

    /// The message that the server sent of its own accord; nil for what answers a command.
    init?(_ reply: RESPValue) {
        guard case .array(let elements) = reply, elements.count == 3,
            case .bulkString(let kind) = elements[0], kind.elementsEqual("message".utf8),
            case .bulkString(let channel) = elements[1],
            case .bulkString(let payload) = elements[2]
        else { return nil }
        self.channel = channel
        self.payload = payload
    }
}
