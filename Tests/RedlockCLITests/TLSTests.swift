// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalRedis
import TestSupport
import Testing

/// TLS as users of the command meet it: each fault is one plain sentence, and nothing of it is the TLS library's own text.
@Suite(.timeLimit(.minutes(2)))
struct TLSTests {
    private func tls(_ certificates: Certificates, certificate: String = "server.crt", mutual: Bool = false)
        -> LocalRedisOptions
    {
        var options = LocalRedisOptions()
        options.tls = LocalRedisTLS(
            certificateFile: certificates.path(certificate),
            keyFile: certificates.path("server.key"),
            certificateAuthorityFile: certificates.path("ca.crt"),
            requiresClientCertificate: mutual
        )
        return options
    }

    private func run(
        _ url: String,
        _ options: [String],
        environment: [String: String] = [:]
    ) async throws -> Executable.Result {
        try await Executable.run(
            ["run", "--redis", url, "--node-timeout", "1s", "--ttl", "20s", "-w", "3s"] + options + ["x", "--", "env"],
            environment: environment
        )
    }

    private func expectFailure(
        _ result: Executable.Result,
        exitCode: Int32 = 69,
        _ parts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(result.exitCode == exitCode, "\(result.errors)", sourceLocation: sourceLocation)
        #expect(result.output.isEmpty, sourceLocation: sourceLocation)
        #expect(parts.allSatisfy(result.errors.contains), "\(result.errors)", sourceLocation: sourceLocation)
        let raw = ["OPENSSL", "SSLError", "BoringSSL", ".cc:", "Error:", "/Sources/", "Wc903z"]
        #expect(!raw.contains(where: result.errors.contains), "\(result.errors)", sourceLocation: sourceLocation)
    }

    @Test
    func aServerThatCannotBeTrustedIsExplained() async throws {
        try await withCertificates { certificates in
            let authority = ["--tls-ca", certificates.path("ca.crt")]
            try await withLocalRedis(nodes: 1, options: tls(certificates)) { redis in
                let port = redis[0].port
                let url = "rediss://localhost:\(port)"
                let name = "localhost:\(port)"
                let good = try await run(url, authority)
                // A server that nobody enrolled: TLS is no part of that.
                #expect(good.exitCode == 0 || good.errors.contains("quarantine"), "\(good.errors)")
                expectFailure(
                    try await run(url, ["--tls-ca", certificates.path("other-ca.crt")]),
                    name,
                    "its authority is not trusted"
                )
                expectFailure(try await run(url, []), name, "its authority is not trusted")
                expectFailure(
                    try await run("rediss://127.0.0.1:\(port)", authority),
                    "127.0.0.1",
                    "not made out to this host"
                )
                expectFailure(try await run("redis://localhost:\(port)", []), name, "rediss://")
            }
            try await withLocalRedis(nodes: 1, options: tls(certificates, certificate: "expired.crt")) { redis in
                let url = "rediss://localhost:\(redis[0].port)"
                expectFailure(try await run(url, authority), "localhost:\(redis[0].port)", "expired on 20", "renew it")
            }
            try await withLocalRedis(nodes: 1) { redis in
                expectFailure(
                    try await run("rediss://localhost:\(redis[0].port)", authority),
                    "does not speak TLS on this port, write redis://"
                )
            }
        }
    }

    @Test
    func aServerThatDemandsACertificateIsExplainedAndServedWithAnEncryptedKey() async throws {
        try await withCertificates { certificates in
            try await withLocalRedis(nodes: 1, options: tls(certificates, mutual: true)) { redis in
                let url = "rediss://localhost:\(redis[0].port)"
                let authority = ["--tls-ca", certificates.path("ca.crt")]
                func certificate(_ name: String, key: String) -> [String] {
                    authority + ["--tls-certificate", certificates.path(name), "--tls-key", certificates.path(key)]
                }
                expectFailure(try await run(url, authority), "demands a client certificate")
                expectFailure(
                    try await run(url, certificate("other-ca.crt", key: "other-ca.key")),
                    "does not accept the client certificate"
                )
                let encrypted = certificate("client.crt", key: "client-encrypted.key")
                let passphrase = ["REDLOCK_TLS_KEY_PASSPHRASE": Certificates.passphrase]
                let enrolment = try await Executable.run(["init", "--redis", url] + encrypted, environment: passphrase)
                #expect(enrolment.exitCode == 0, "\(enrolment.errors)")
                let fromVariable = try await run(url, encrypted, environment: passphrase)
                #expect(fromVariable.exitCode == 0, "\(fromVariable.errors)")
                #expect(fromVariable.output.contains("REDLOCK_NAME=x"))
                #expect(!fromVariable.output.contains(Certificates.passphrase))

                let path = certificates.path("redlock.json")
                let settings = ["tls-key-passphrase": Certificates.passphrase]
                let json = try JSONSerialization.data(withJSONObject: settings)
                _ = FileManager.default.createFile(atPath: path, contents: json, attributes: [.posixPermissions: 0o644])
                let fromFile = try await run(url, encrypted + ["--config", path])
                #expect(fromFile.exitCode == 0, "\(fromFile.errors)")
                // Counted as a secret, and shown by none.
                #expect(fromFile.errors.contains("chmod 600"), "\(fromFile.errors)")
                #expect(!fromFile.errors.contains(Certificates.passphrase))
            }
        }
    }

    /// Nothing listens at the address: what is wrong with the files is told before any connection is tried.
    @Test
    func wrongFilesAreWrongUsage() async throws {
        try await withCertificates { certificates in
            func options(_ certificate: String, _ key: String) -> [String] {
                ["--tls-certificate", certificates.path(certificate), "--tls-key", certificates.path(key)]
            }
            let faults: [([String], String)] = [
                (options("client.crt", "client-encrypted.key"), "REDLOCK_TLS_KEY_PASSPHRASE"),
                (options("client.crt", "server.key"), "is not that of the first certificate"),
                (options("client.crt", "missing.key"), "there is no such file"),
                (options("client.key", "client.key"), "a key and no certificate"),
                (options("client.crt", "client.crt"), "a certificate and no key"),
                (Array(options("client.crt", "client.key").prefix(2)), "needs both"),
                (["--tls-ca", "/dev/null"], "it is empty"),
            ]
            for (options, text) in faults {
                for command in [
                    ["doctor"], ["init"], ["status", "x"], ["acquire", "x"], ["bench", "--duration", "1s"],
                ] {
                    let arguments = [command[0], "--redis", "rediss://localhost:1"] + options + command.dropFirst()
                    expectFailure(try await Executable.run(arguments), exitCode: 64, text)
                }
                expectFailure(try await run("rediss://localhost:1", options), exitCode: 64, text)
            }
            let wrong = try await run(
                "rediss://localhost:1",
                options("client.crt", "client-encrypted.key"),
                environment: ["REDLOCK_TLS_KEY_PASSPHRASE": "Wc903z"]
            )
            expectFailure(wrong, exitCode: 64, "client-encrypted.key", "does not fit the key")
        }
    }
}
