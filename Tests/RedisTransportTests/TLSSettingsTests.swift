// SPDX-License-Identifier: Apache-2.0

import Hiredis
import NIOPosix
import RedisTransport
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
}

private final class NobodyListens: NodeLinkDelegate {
    func linkBecameReady(_ node: Int, handshakeReplies: [RESPValue]) {}
    func linkWentDown(_ node: Int, failure: NodeFailure) {}
}
