// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// One client of a ``FaultProxy``, and the connection to the server that belongs to it.
struct FaultProxyConnection {
    let client: any Channel
    var server: (any Channel)?
    /// Whether the server has accepted the connection.
    var isConnected = false
    var pipes: [FaultDirection: FaultPipe]
    var timers: [FaultDirection: Scheduled<Void>] = [:]
    /// The sides whose channel exists, whether or not it is connected.
    var openSides: Set<FaultDirection> = [.toServer]
    let closed: EventLoopPromise<Void>

    /// Where the bytes of a direction come from.
    func input(of direction: FaultDirection) -> (any Channel)? {
        direction == .toServer ? client : server
    }

    /// Where the bytes of a direction go, or nil before the server has accepted the connection.
    func output(of direction: FaultDirection) -> (any Channel)? {
        isConnected ? (direction == .toServer ? server : client) : nil
    }

    /// Whether neither side has anything more to send.
    var isEnded: Bool {
        pipes.values.allSatisfy(\.isOutputEnded)
    }
}

/// Tells the proxy what happens on the channel that is the input of `direction`.
final class FaultProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let proxy: FaultProxy
    private let number: Int
    private let direction: FaultDirection

    init(proxy: FaultProxy, number: Int, direction: FaultDirection) {
        self.proxy = proxy
        self.number = number
        self.direction = direction
    }

    func channelActive(context: ChannelHandlerContext) {
        let (number, direction) = (number, direction)
        proxy.assumeIsolated { $0.becameActive(number, direction: direction) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let (number, direction, bytes) = (number, direction, unwrapInboundIn(data))
        proxy.assumeIsolated { $0.received(bytes, number: number, direction: direction) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            inputEnded(isClosed: false)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        inputEnded(isClosed: true)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func inputEnded(isClosed: Bool) {
        let (number, direction) = (number, direction)
        proxy.assumeIsolated { $0.inputEnded(number: number, direction: direction, isClosed: isClosed) }
    }
}

extension FaultProxy.Target {
    func socketAddress() throws -> SocketAddress {
        switch address {
        case .unixSocket(let path):
            return try SocketAddress(unixDomainSocketPath: path)
        case .tcp(let host, let port):
            do {
                return try SocketAddress(ipAddress: host == "localhost" ? "127.0.0.1" : host, port: port)
            } catch {
                throw FaultProxyError.hostIsNotAnAddress(host)
            }
        }
    }
}

extension FaultProxy.Statistics.Bytes {
    /// Adds what changed between two states of one pipe.
    mutating func add(_ after: Self, minus before: Self) {
        received += after.received - before.received
        forwarded += after.forwarded - before.forwarded
        held += after.held - before.held
        discarded += after.discarded - before.discarded
    }
}

extension Channel {
    /// Closes so that the peer sees a reset instead of the end of the stream.
    func closeWithReset() {
        guard let socket = self as? any SocketOptionProvider else { return close(promise: nil) }
        // A socket that lingers for zero seconds resets when it is closed.
        socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in
            self.close(promise: nil)
        }
    }
}
