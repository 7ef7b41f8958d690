// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOPosix
internal import NIOSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension NodeFailure {
    /// What an error of the channel means: TLS, the network, or the name.
    init(channelError error: any Error) {
        switch error {
        case let failure as NodeFailure:
            self = failure
        case let error as NIOSSLError:
            self = Self.tlsFailure(String(describing: error))
        case let error as BoringSSLError:
            self = Self.tlsFailure(String(describing: error))
        case is NIOSSLExtraError:
            self = NodeFailure(.tls, "the server's certificate is not made out to this host")
        case let error as NIOConnectionError:
            self = Self.connectFailure(error)
        case let error as IOError:
            // A connection that was made and broke shows that somebody listens.
            let isBroken = [ECONNRESET, EPIPE].contains(error.errnoCode)
            self = NodeFailure(isBroken ? .closed : .unreachable, Self.text(ofErrorNumber: error.errnoCode))
        case let error as ChannelError:
            if case .connectTimeout = error {
                self = NodeFailure(.timedOut, "no connection within the time given")
            } else {
                self = NodeFailure(.closed, "the connection ended (\(error))")
            }
        default:
            self = NodeFailure(.closed, "the connection ended (\(error))")
        }
    }

    private static func tlsFailure(_ text: String) -> NodeFailure {
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return NodeFailure(
                .tls,
                "the server's certificate is not accepted: its authority is not trusted, or it expired"
            )
        }
        if text.contains("WRONG_VERSION_NUMBER") {
            return NodeFailure(.tls, "the server does not speak TLS on this port")
        }
        // Most often a server that ends, or that has too many clients: nothing that somebody must change.
        let endings = ["uncleanShutdown", "eofDuringHandshake", "syscallError"]
        if endings.contains(where: { text.contains($0) }) {
            return NodeFailure(.closed, "the server closed the connection")
        }
        return NodeFailure(.tls, "TLS failed: \(text)")
    }

    /// A name may stand for several addresses; the reason of the last one tried is as good as any.
    private static func connectFailure(_ error: NIOConnectionError) -> NodeFailure {
        guard let last = error.connectionErrors.last else {
            return NodeFailure(.unreachable, "the host name \(error.host) cannot be resolved")
        }
        return NodeFailure(channelError: last.error)
    }

    private static func text(ofErrorNumber number: CInt) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text).lowercased()
    }
}
