// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hiredis
import NIOPosix
import RedisTransport
import TestSupport
import Testing

/// Files that cannot be used are told when the link is made, before anything is connected.
@Suite
struct TLSSettingsTests {
    private func failure(_ settings: TLSSettings) -> NodeFailure? {
        var endpoint = RedisEndpoint(address: .host("127.0.0.1", port: 1), password: "hunter2")
        endpoint.tls = settings
        let delegate = NobodyListens()
        do throws(NodeFailure) {
            _ = try makeLink(endpoint, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), delegate: delegate)
            return nil
        } catch {
            return error
        }
    }

    @Test
    func systemAuthoritiesNeedNoFile() {
        #expect(failure(TLSSettings()) == nil)
    }

    @Test(arguments: [
        (TLSSettings(certificateAuthorityFile: "/nonexistent/ca.pem"), "/nonexistent/ca.pem"),
        (TLSSettings(certificateAuthorityFile: "/dev/null"), "/dev/null"),
        (TLSSettings(certificateAuthorityFile: "/tmp"), "/tmp"),
        (TLSSettings(certificateFile: "/nonexistent/c.pem", keyFile: "/nonexistent/k.pem"), "/nonexistent/c.pem"),
        (TLSSettings(certificateFile: "/nonexistent/c.pem"), "both"),
        (TLSSettings(keyFile: "/nonexistent/k.pem"), "both"),
    ])
    func saysWhichFileIsWrong(_ settings: TLSSettings, says: String) throws {
        let failure = try #require(self.failure(settings))
        #expect(failure.kind == .tls)
        #expect(failure.isPermanent)
        #expect(failure.message.contains(says), "\(failure)")
        #expect(!failure.message.contains("hunter2"))
    }

    @Test
    func saysWhatIsWrongWithAFileAndWhichOneItIs() async throws {
        try await withCertificates { certificates in
            let (authority, chain) = (certificates.path("ca.crt"), certificates.path("client.crt"))
            let key = certificates.path("client.key")
            let damaged = certificates.path("damaged.crt")
            let text = try String(contentsOfFile: chain, encoding: .utf8)
            try String(text.prefix(text.count / 2)).write(toFile: damaged, atomically: true, encoding: .utf8)
            let garbage = certificates.path("garbage.pem")
            try "no PEM".write(toFile: garbage, atomically: true, encoding: .utf8)
            let large = certificates.path("large.pem")
            try String(repeating: "x", count: 1 << 21).write(toFile: large, atomically: true, encoding: .utf8)
            let faults: [(TLSSettings, [String])] = [
                (TLSSettings(certificateAuthorityFile: "/nowhere/ca"), ["/nowhere/ca", "no such file"]),
                (TLSSettings(certificateAuthorityFile: "/dev/null"), ["/dev/null", "empty"]),
                (TLSSettings(certificateAuthorityFile: "/tmp"), ["/tmp", "is a directory"]),
                (TLSSettings(certificateAuthorityFile: large), [large, "larger than"]),
                (TLSSettings(certificateAuthorityFile: garbage), [garbage, "no certificate in PEM form"]),
                (TLSSettings(certificateAuthorityFile: key), [key, "a key and no certificate"]),
                (TLSSettings(certificateAuthorityFile: damaged), [damaged, "damaged or incomplete"]),
                (TLSSettings(certificateFile: garbage, keyFile: key), [garbage, "no certificate in PEM form"]),
                (TLSSettings(certificateFile: key, keyFile: key), [key, "a key and no certificate"]),
                (TLSSettings(certificateFile: chain, keyFile: "/nowhere/key"), ["/nowhere/key", "no such file"]),
                (TLSSettings(certificateFile: chain, keyFile: "/dev/null"), ["/dev/null", "empty"]),
                (TLSSettings(certificateFile: chain, keyFile: garbage), [garbage, "no key in PEM form"]),
                (TLSSettings(certificateFile: chain, keyFile: chain), [chain, "a certificate and no key"]),
                (
                    TLSSettings(certificateFile: chain, keyFile: certificates.path("server.key")),
                    [chain, "server.key", "is not that of the first certificate"]
                ),
                (
                    TLSSettings(certificateAuthorityFile: authority, keyPassphrase: "Wc903z"),
                    ["passphrase", "no key file"]
                ),
            ]
            for (settings, parts) in faults { expectFailure(settings, parts) }
        }
    }

    @Test
    func anEncryptedKeyIsReadWithItsPassphraseAndOtherwiseExplained() async throws {
        try await withCertificates { certificates in
            for file in ["client-encrypted.key", "client-traditional.key"] {
                func settings(_ passphrase: String?) -> TLSSettings {
                    TLSSettings(
                        certificateFile: certificates.path("client.crt"),
                        keyFile: certificates.path(file),
                        keyPassphrase: passphrase
                    )
                }
                #expect(failure(settings(Certificates.passphrase)) == nil)
                expectFailure(settings(nil), [file, "encrypted", "REDLOCK_TLS_KEY_PASSPHRASE"])
                expectFailure(settings("Wc903z"), [file, "does not fit the key"])
                for passphrase in ["", "Wc903zé", String(repeating: "Wc903z", count: 200)] {
                    expectFailure(settings(passphrase), [file, "ASCII"])
                }
            }
            let plain = TLSSettings(
                certificateFile: certificates.path("client.crt"),
                keyFile: certificates.path("client.key"),
                keyPassphrase: "Wc903z"
            )
            #expect(failure(plain) == nil)
        }
    }

    private func expectFailure(
        _ settings: TLSSettings,
        _ parts: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard let failure = failure(settings) else {
            Issue.record("\(settings) can be used", sourceLocation: sourceLocation)
            return
        }
        #expect(parts.allSatisfy(failure.message.contains), "\(failure)", sourceLocation: sourceLocation)
        let raw = ["OPENSSL", "SSLError", ".cc", "Wc903z"]
        #expect(!raw.contains(where: failure.message.contains), "\(failure)", sourceLocation: sourceLocation)
    }
}

private final class NobodyListens: NodeLinkDelegate {
    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {}
    func linkWentDown(_ node: Int, failure: NodeFailure) {}
}
