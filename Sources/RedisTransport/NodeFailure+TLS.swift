// SPDX-License-Identifier: Apache-2.0

internal import NIOSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The name that the TLS library has for what went wrong, such as `WRONG_VERSION_NUMBER`.
///
/// Its own texts are for its developers, and name lines of its source.
struct TLSReason {
    private let text: String

    init(_ error: any Error) {
        text = String(describing: error)
    }

    /// Whether the reason has one of these names in it.
    func isAnyOf(_ names: String...) -> Bool {
        names.contains { text.contains($0) }
    }

    /// The name as words, in brackets behind a space; nothing if there is none.
    var inBrackets: String {
        guard let start = text.firstRange(of: "OPENSSL_internal:")?.upperBound else { return "" }
        let name = text[start...].prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        return name.isEmpty ? "" : " (\(name.lowercased().split(separator: "_").joined(separator: " ")))"
    }
}

extension NodeFailure {
    /// What an error of TLS means, and what to do about it.
    ///
    /// - Parameter certificate: what the server presented, if it came that far.
    init(tlsError error: any Error, serverCertificate certificate: NIOSSLCertificate? = nil) {
        let reason = TLSReason(error)
        // Most often a server that ends, or that has too many clients: nothing that an operator must change.
        if reason.isAnyOf("uncleanShutdown", "eofDuringHandshake", "EOF during handshake", "syscallError") {
            self.init(.closed, "the server closed the connection")
        } else {
            self.init(.tls, Self.problem(of: reason, error, certificate))
        }
    }

    /// The end of a connection on which not one answer came: often only one of both sides speaks TLS.
    func withoutAnyAnswer(overTLS: Bool) -> NodeFailure {
        guard kind == .closed else { return self }
        let advice =
            overTLS
            ? "if it does not speak TLS on this port, write redis:// for rediss://"
            : "if it speaks TLS on this port, write rediss:// for redis://"
        return NodeFailure(.closed, "\(message), without any answer; \(advice)")
    }

    private static func problem(
        of reason: TLSReason,
        _ error: any Error,
        _ certificate: NIOSSLCertificate?
    ) -> String {
        if let error = error as? NIOSSLExtraError {
            return error == .failedToValidateHostname
                ? "the server's certificate is not made out to this host; name the server as its certificate does"
                : "the name that the server's certificate must be made out to is not a host name"
        }
        if reason.isAnyOf("CERTIFICATE_VERIFY_FAILED") { return certificateProblem(certificate) }
        if reason.isAnyOf("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_RECORD", "UNEXPECTED_MESSAGE") {
            return "the server does not speak TLS on this port; write redis:// for rediss://"
        }
        return refusal(of: reason)
    }

    /// What the server told, in the alerts of RFC 8446 (6.2).
    private static func refusal(of reason: TLSReason) -> String {
        let refused = "the server does not accept the client certificate"
        if reason.isAnyOf("CERTIFICATE_REQUIRED") {
            return "the server demands a client certificate; name its file and that of its key"
        }
        if reason.isAnyOf("ALERT_UNKNOWN_CA") {
            return
                "\(refused): its authority is not one that the server trusts, or it is missing in the certificate file"
        }
        if reason.isAnyOf("ALERT_CERTIFICATE_EXPIRED") { return "\(refused): it has expired; renew it" }
        if reason.isAnyOf("ALERT_CERTIFICATE_REVOKED") { return "\(refused): it was revoked; use another" }
        let others = [
            "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_UNKNOWN", "ACCESS_DENIED", "DECRYPT_ERROR",
        ]
        if others.contains(where: { reason.isAnyOf("ALERT_\($0)") }) {
            return "\(refused)\(reason.inBrackets); use one that was made for clients of this server"
        }
        if reason.isAnyOf("ALERT_HANDSHAKE_FAILURE") {
            return
                "the server refused the TLS handshake; it may demand a client certificate, or have no cipher in common"
        }
        if reason.isAnyOf("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL") {
            return "the server offers no TLS 1.2 or later; let it (tls-protocols in redis.conf)"
        }
        if reason.isAnyOf("UNRECOGNIZED_NAME") { return "the server has no certificate for this host name" }
        return "the TLS handshake with the server failed\(reason.inBrackets)"
    }

    /// Why a certificate was not accepted; the library that checks it says only that it was not.
    private static func certificateProblem(_ certificate: NIOSSLCertificate?) -> String {
        let now = time(nil)
        if let certificate, certificate.notValidAfter < now {
            return "the server's certificate expired on \(day(certificate.notValidAfter)); renew it"
        }
        if let certificate, certificate.notValidBefore > now {
            return
                "the server's certificate is not valid before \(day(certificate.notValidBefore)); is this clock right?"
        }
        return "the server's certificate is not accepted: its authority is not trusted, or a certificate of that has "
            + "expired; trust its authority by a file"
    }

    /// As 2026-01-31, in UTC.
    private static func day(_ time: time_t) -> String {
        var time = time
        var parts = tm()
        gmtime_r(&time, &parts)
        func twoDigits(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(twoDigits(parts.tm_mon + 1))-\(twoDigits(parts.tm_mday))"
    }
}
