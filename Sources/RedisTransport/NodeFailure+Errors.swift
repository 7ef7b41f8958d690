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
    ///
    /// - Parameter certificate: what the server presented, if it did.
    init(channelError error: any Error, serverCertificate certificate: NIOSSLCertificate? = nil) {
        switch error {
        case let failure as NodeFailure:
            self = failure
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            self = NodeFailure(tlsError: error, serverCertificate: certificate)
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
