// SPDX-License-Identifier: Apache-2.0

internal import DequeModule
internal import Hiredis
internal import NIOCore
internal import NIOSSL

/// Who is told the messages that a connection carries, on its event loop.
protocol MessageReceiver: AnyObject {
    /// Somebody published a message to a channel that the connection is subscribed to.
    func received(_ message: PublishedMessage)
}

/// One connection: commands out, replies in, in the same order, each with a deadline of its own.
///
/// A connection with a receiver of messages may be subscribed to channels: the messages come between the replies, when
/// it pleases the server, and are told apart by their form.
///
/// Whatever puts the order in doubt ends the connection for good: a reply that is late, that nobody asked for, or that
/// is not the protocol. A connection that is kept after that would give one command the answer to another.
///
/// What every command and every reply touches is exempt from the checks for overlapping accesses at run time, here and
/// where `exclusivity(unchecked)` stands elsewhere: they took an eighth of all instructions of a client. All of it belongs
/// to one event loop, and none of it is handed to anybody else while it is being changed.
final class RedisConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Replies that one receiver waits for, and that are due together as the commands leave together.
    private struct Awaited {
        let receiver: any ReplyReceiver
        let timeout: TimeAmount
        let deadline: NIODeadline
        var replyCount = 1
    }

    private enum State {
        case open
        /// The end is decided; what is sent now still goes out, but its replies are not waited for.
        case ending
        case ended
    }

    /// The attempt to connect that this connection belongs to; there may be several, one for each address of a name.
    let attempt: Int
    private let node: Int
    /// Not weak, as that makes every use of the link slower; given up at the end.
    private var link: NodeLink?
    private weak var messageReceiver: (any MessageReceiver)?
    private let reader: ReplyReader
    @exclusivity(unchecked) private var replies: [RESPValue] = []
    @exclusivity(unchecked) private var awaited = Deque<Awaited>()
    @exclusivity(unchecked) private var outgoing: ByteBuffer
    @exclusivity(unchecked) private var context: ChannelHandlerContext?
    @exclusivity(unchecked) private var deadlineTimer: Scheduled<Void>?
    /// When the replies to what has not been written yet are due: they leave together, and are due together.
    @exclusivity(unchecked) private var deadlineOfWrite: NIODeadline?
    /// When the reply that is being handed out was due.
    @exclusivity(unchecked) private var deadlineAtHand: NIODeadline?
    @exclusivity(unchecked) private var state = State.open

    /// A connection of the link; without a receiver of messages, a message is a reply that nobody asked for.
    init(
        node: Int,
        attempt: Int,
        link: NodeLink,
        messageReceiver: (any MessageReceiver)?,
        replyLimits: ReplyLimits,
        allocator: ByteBufferAllocator
    ) {
        self.attempt = attempt
        self.node = node
        self.link = link
        self.messageReceiver = messageReceiver
        self.reader = ReplyReader(limits: replyLimits)
        self.outgoing = allocator.buffer(capacity: 4096)
    }

    // MARK: Sending

    /// Puts the bytes of one command into the buffer; `flush` writes all of them at once.
    ///
    /// - Parameters:
    ///   - replyTimeout: how long the reply may take; nil if the caller has a deadline of its own.
    ///   - inheritsDeadline: whether the reply is due when the one that is being handed out was.
    func append(
        _ command: UnsafeRawBufferPointer,
        receiver: any ReplyReceiver,
        replyTimeout: TimeAmount?,
        inheritsDeadline: Bool = false
    ) {
        guard state != .ended, context != nil else {
            receiver.failed(NodeFailure(.closed, "the connection has ended"), at: node)
            return
        }
        outgoing.writeBytes(command)
        guard let replyTimeout else {
            return expect(Awaited(receiver: receiver, timeout: .zero, deadline: .distantFuture))
        }
        let inherited = inheritsDeadline ? deadlineAtHand : nil
        let deadline = inherited ?? deadlineOfWrite ?? .now() + replyTimeout
        if inherited == nil { deadlineOfWrite = deadline }
        expect(Awaited(receiver: receiver, timeout: replyTimeout, deadline: deadline))
        // It may be due before what stands in front of it.
        if inherited != nil { deadlineTimer?.cancel() }
        if deadlineTimer == nil || inherited != nil { scheduleDeadlineTimer() }
    }

    private func expect(_ reply: Awaited) {
        if let last = awaited.indices.last, awaited[last].receiver === reply.receiver,
            awaited[last].deadline == reply.deadline
        {
            awaited[last].replyCount += 1
        } else {
            awaited.append(reply)
        }
    }

    /// Writes what was appended, in one write.
    func flush() {
        guard let context, outgoing.readableBytes > 0 else { return }
        deadlineOfWrite = nil
        context.writeAndFlush(wrapOutboundOut(outgoing), promise: nil)
        outgoing.clear()
    }

    // MARK: Deadlines

    private func scheduleDeadlineTimer() {
        guard state == .open, let context, let next = awaited.lazy.map(\.deadline).min() else {
            deadlineTimer = nil
            return
        }
        deadlineTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: next) { [self] in
            deadlineTimerFired()
        }
    }

    /// The timer is set for what is due first when it is set, and then runs out, so that a busy connection does not set
    /// one for each command.
    private func deadlineTimerFired() {
        let now = NIODeadline.now()
        if let late = awaited.first(where: { $0.deadline <= now }) {
            end(NodeFailure(.timedOut, "no answer within \(late.timeout.nanoseconds / 1_000_000) ms"))
        } else {
            scheduleDeadlineTimer()
        }
    }

    // MARK: Ending

    /// Ends the connection; every command without a reply fails.
    ///
    /// Who is told of the failure may still send a last word: it travels behind the commands that are in doubt, on the
    /// same connection, and undoes them if they are ever carried out.
    func end(_ failure: NodeFailure) {
        guard state == .open else { return }
        state = .ending
        deadlineTimer?.cancel()
        failAwaited(failure)
        flush()
        state = .ended
        // Whoever is told that its last word failed must not take the link for one that can be used.
        link?.connectionIsEnding(self, failure)
        let context = self.context
        self.context = nil
        context?.close(promise: nil)
        // The last words.
        failAwaited(failure)
        link?.connectionEnded(self, failure)
        link = nil
    }

    private func failAwaited(_ failure: NodeFailure) {
        let inDoubt = awaited
        awaited.removeAll()
        for replies in inDoubt {
            for _ in 0..<replies.replyCount { replies.receiver.failed(failure, at: node) }
        }
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        link?.connectionOpened(self)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state == .open else { return }
        do {
            let buffer = unwrapInboundIn(data)
            guard !isTLSAlert(buffer) else {
                end(NodeFailure(.tls, "the server speaks TLS on this port; write rediss:// for redis://"))
                return
            }
            try buffer.withUnsafeReadableBytes { bytes throws(ReplyError) in try reader.feed(bytes) }
            while let reply = try reader.next() { replies.append(reply) }
        } catch {
            end(NodeFailure(.protocolViolation, "not a Redis server, or a broken one: \(error)"))
            return
        }
        deliver()
    }

    /// Whether a server that wanted TLS says that it got something else: two bytes that begin no reply of Redis.
    private func isTLSAlert(_ buffer: ByteBuffer) -> Bool {
        buffer.readableBytesView.starts(with: [0x15, 0x03])
    }

    /// Hands out the replies of one read, or none of them if there are more than were asked for: then nobody can tell
    /// which belongs to which command.
    ///
    /// Messages answer no command and do not count.
    private func deliver() {
        let messageReceiver = self.messageReceiver
        let messageCount = messageReceiver == nil ? 0 : replies.count { PublishedMessage($0) != nil }
        guard replies.count - messageCount <= awaited.reduce(0, { $0 + $1.replyCount }) else {
            replies.removeAll()
            end(NodeFailure(.protocolViolation, "the server sent a reply that nobody asked for"))
            return
        }
        for reply in replies {
            // Who was told the reply or message before may have ended the connection.
            guard state == .open else { break }
            if let messageReceiver, let message = PublishedMessage(reply) {
                messageReceiver.received(message)
                continue
            }
            receiverOfNextReply()?.received(reply, from: node)
        }
        deadlineAtHand = nil
        replies.removeAll(keepingCapacity: true)
    }

    private func receiverOfNextReply() -> (any ReplyReceiver)? {
        guard let first = awaited.first else { return nil }
        deadlineAtHand = first.deadline
        if first.replyCount > 1 { awaited[0].replyCount -= 1 } else { awaited.removeFirst() }
        return first.receiver
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(NodeFailure(.closed, "the server closed the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
        end(NodeFailure(channelError: error, serverCertificate: certificate))
    }
}
