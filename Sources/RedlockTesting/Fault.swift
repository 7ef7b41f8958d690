// SPDX-License-Identifier: Apache-2.0

/// Which way bytes travel through a ``FaultProxy``.
public enum FaultDirection: Sendable, Hashable, CaseIterable {
    /// From the client to the server: commands.
    case toServer
    /// From the server to the client: replies.
    case toClient

    var opposite: FaultDirection {
        self == .toServer ? .toClient : .toServer
    }
}

/// What a ``FaultProxy`` does with the bytes that travel in one direction.
///
/// A fault holds for every open connection and for those to come, until another one replaces it.
public enum Fault: Sendable, Hashable {
    /// Everything passes at once: a healthy network. Bytes that an earlier fault held are released first, in order.
    case pass

    /// Everything arrives late by `duration` and a random part of `jitter`, in order: a slow or distant network.
    case delay(Duration, jitter: Duration = .zero)

    /// Bytes and the end of the stream are held, and released in order when the fault changes: a route that is gone for
    /// a while (TCP retransmits when it is back), a server that is stopped (`toClient`), a full switch. In one direction
    /// only, it is a one-way partition: towards the client, the server executes a command and nobody hears of it.
    ///
    /// The proxy keeps what it holds in memory and never pushes back on the sender.
    case stall

    /// Bytes and the end of the stream vanish, the connection stays open: the half-open connection that a firewall or
    /// address translator leaves when it forgets it, or a peer that lost power. Earlier held bytes vanish too.
    /// What vanished does not come back, so a connection that lost bytes is out of step after ``pass``.
    case blackHole

    /// `bytes` at a time arrive every `interval`, in order: a peer that keeps a per-read timeout alive for ever.
    case trickle(bytes: Int = 1, interval: Duration)

    /// Lets this many further bytes of every connection pass, then closes the connection on both sides: a server that
    /// dies in the middle of a reply. With zero, the connection closes when the first byte arrives: towards the client,
    /// the command was executed and its whole reply is lost.
    case truncate(afterBytes: Int)

    /// Ends the stream in this direction, the other one stays open: a peer that shut down its sending side. What was
    /// held is sent before the end; what comes later is discarded. An open connection cannot be healed of it.
    case endOfStream

    /// Every chunk arrives twice. Towards the client with one command under way, that is a surplus reply: what a client
    /// sees that shares a connection with somebody who gave up waiting.
    case duplicate
}

extension FaultProxy {
    /// What becomes of clients that connect.
    public enum NewConnections: Sendable, Hashable {
        /// They are accepted and connected to the server.
        case accepted
        /// They are refused by the kernel (`ECONNREFUSED`): the server process is down. The port stays reserved.
        case refused
        /// They are accepted and closed at once: `maxclients` reached, or a load balancer without a server behind it.
        case closedAtOnce
    }

    /// The server behind the proxy.
    public struct Target: Sendable, Hashable, CustomStringConvertible {
        enum Address: Hashable {
            case tcp(host: String, port: Int)
            case unixSocket(path: String)
        }

        let address: Address

        /// A server at a host name or address, and a port.
        public init(host: String = "127.0.0.1", port: Int) {
            self.address = .tcp(host: host, port: port)
        }

        /// A server at a Unix socket; clients still reach the proxy by TCP.
        public init(unixSocketPath: String) {
            self.address = .unixSocket(path: unixSocketPath)
        }

        /// The address as text.
        public var description: String {
            switch address {
            case .tcp(let host, let port): "\(host):\(port)"
            case .unixSocket(let path): path
            }
        }
    }

    /// What went through the proxy since its start.
    public struct Statistics: Sendable, Hashable, CustomStringConvertible {
        /// What became of the bytes of one direction, over all connections.
        public struct Bytes: Sendable, Hashable, CustomStringConvertible {
            /// Bytes that the proxy read from the sender.
            public internal(set) var received = 0
            /// Bytes that the proxy wrote to the receiver, with duplicates and injections.
            public internal(set) var forwarded = 0
            /// Bytes that the proxy keeps now.
            public internal(set) var held = 0
            /// Bytes that will never arrive.
            public internal(set) var discarded = 0

            /// All four, as text.
            public var description: String {
                "received \(received), forwarded \(forwarded), held \(held), discarded \(discarded)"
            }
        }

        /// Clients that connected; those that the kernel refused are not seen.
        public internal(set) var acceptedConnections = 0
        /// Connections that are open now on at least one side.
        public internal(set) var openConnections = 0
        /// Clients that the proxy closed because it could not reach the server.
        public internal(set) var failedServerConnections = 0
        /// Bytes from clients to the server.
        public internal(set) var toServer = Bytes()
        /// Bytes from the server to clients.
        public internal(set) var toClient = Bytes()

        /// All of it, on one line.
        public var description: String {
            """
            connections accepted \(acceptedConnections), open \(openConnections), \
            server unreachable \(failedServerConnections); to server: \(toServer); to client: \(toClient)
            """
        }

        /// The bytes of one direction.
        public internal(set) subscript(direction: FaultDirection) -> Bytes {
            get { direction == .toServer ? toServer : toClient }
            set {
                switch direction {
                case .toServer: toServer = newValue
                case .toClient: toClient = newValue
                }
            }
        }
    }
}
